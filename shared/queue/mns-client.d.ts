/** The package ships no types: the calls that we make. Every leaf of a body is a string. */
declare module '@alicloud/mns' {
  interface Answer<Body> {
    code: number;
    headers: Record<string, string | undefined>;
    body: Body;
  }
  export default class MnsClient {
    constructor(
      accountId: string,
      options: {
        accessKeyId: string;
        accessKeySecret: string;
        securityToken?: string;
        endpoint?: string;
        region?: string;
        readTimeout?: number;
        connectTimeout?: number;
      },
    );
    createQueue(name: string, attributes?: Record<string, unknown>): Promise<Answer<undefined>>;
    deleteQueue(name: string): Promise<Answer<undefined>>;
    listQueue(start: string | undefined, limit: number, prefix: string): Promise<Answer<Record<string, string>[]>>;
    getQueueAttributes(name: string): Promise<Answer<Record<string, string>>>;
    setQueueAttributes(name: string, attributes: Record<string, unknown>): Promise<Answer<undefined>>;
    sendMessage(name: string, message: Record<string, unknown>): Promise<Answer<Record<string, string>>>;
    batchSendMessage(name: string, messages: Record<string, unknown>[]): Promise<Answer<Record<string, string>[]>>;
    receiveMessage(name: string, waitSeconds?: number): Promise<Answer<Record<string, string>>>;
    batchReceiveMessage(name: string, max: number, waitSeconds?: number): Promise<Answer<Record<string, string>[]>>;
    peekMessage(name: string): Promise<Answer<Record<string, string>>>;
    batchPeekMessage(name: string, max: number): Promise<Answer<Record<string, string>[]>>;
    deleteMessage(name: string, receiptHandle: string): Promise<Answer<undefined>>;
    batchDeleteMessage(name: string, receiptHandles: string[]): Promise<Answer<Record<string, string>[] | undefined>>;
    changeMessageVisibility(name: string, receiptHandle: string, seconds: number): Promise<Answer<Record<string, string>>>;
  }
}
