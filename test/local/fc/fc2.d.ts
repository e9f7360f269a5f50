/** The package ships no types: what the tests call. */
declare module '@alicloud/fc2' {
  interface Answer {
    headers: Record<string, string>;
    // biome-ignore lint/suspicious/noExplicitAny: whatever the service said
    data: any;
  }
  export default class Client {
    constructor(accountId: string, options: object);
    invokeFunction(service: string, name: string, event: string, headers?: object, qualifier?: string): Promise<Answer>;
    listServices(options?: object): Promise<Answer>;
    listFunctions(service: string, options?: object): Promise<Answer>;
    getFunction(service: string, name: string): Promise<Answer>;
  }
}
