/** An answer of the token endpoint that is a refusal. Codes: help page "STS error codes" (2025). */
export class StsProblem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}
