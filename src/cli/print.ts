// The answer of a command: JSON for programs, or a text for people.

export const print = <T>({ json }: { readonly json?: boolean }, answer: T, text: (answer: T) => string): void =>
  void process.stdout.write(json === true ? `${JSON.stringify(answer, undefined, 2)}\n` : text(answer));
