// What only the user can mend, told in words meant for him: no stack, no new attempt.
export class SetupError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "SetupError";
  }
}
