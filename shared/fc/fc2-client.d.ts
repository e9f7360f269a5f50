/** The package ships no types: the calls that we make. */
declare module '@alicloud/fc2' {
  interface Answer {
    headers: Record<string, string>;
    // biome-ignore lint/suspicious/noExplicitAny: whatever the service said
    data: any;
  }
  export default class Client {
    constructor(
      accountId: string,
      options: {
        accessKeyID: string;
        accessKeySecret: string;
        securityToken?: string;
        region: string;
        endpoint?: string;
        timeout?: number;
      },
    );
    invokeFunction(
      service: string,
      name: string,
      event: string | Buffer,
      headers?: Record<string, string>,
      qualifier?: string,
      options?: { rawBuf?: boolean },
    ): Promise<Answer>;
    listServices(options?: object): Promise<Answer>;
    listFunctions(service: string, options?: object): Promise<Answer>;
    getFunction(service: string, name: string): Promise<Answer>;
  }
}
