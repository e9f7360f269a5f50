/** Exit codes of every command. */
export const EXIT = {
  done: 0,
  /** Done, and a problem was found. */
  problem: 1,
  /** Wrong use: an argument, a file or a name. */
  usage: 2,
  /** The server or the store could not be reached. */
  unreachable: 3,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command with a message on stderr and this exit code. */
export class Failure extends Error {
  constructor(
    readonly exitCode: ExitCode,
    message: string,
    /** More lines below the message. */
    readonly details: readonly string[] = [],
    /** Members for `--json`. */
    readonly document: Record<string, unknown> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export function wrongUse(message: string, details: readonly string[] = []): Failure {
  return new Failure(EXIT.usage, message, details);
}
