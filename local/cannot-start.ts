/** Something on this machine keeps the platform from starting; the message says what, and what to do. Exit code 3. */
export class CannotStart extends Error {
  override get name(): string {
    return 'CannotStart';
  }
}
