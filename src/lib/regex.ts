// Regular expressions over hostile names: RE2's, whose work is at most the name's length times the expression's, where a backtracking engine's
// has no bound. They are those of Go, and so of the tools whose lists are taken over.
import { createRequire } from "node:module";

const load = createRequire(import.meta.url);

/** Whether it matches the whole of a name. Throws an Error that says what is wrong. */
export const wholeMatcher = (expression: string): ((name: string) => boolean) => {
  // with the first expression that there is: most installations have none
  const { RE2JS, RE2JSException } = load("re2js") as typeof import("re2js");
  try {
    const compiled = RE2JS.compile(expression);
    return (name) => compiled.testExact(name);
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    throw new Error(`expected a regular expression (RE2): ${error.message.replace("error parsing regexp: ", "")}`, {
      cause: error,
    });
  }
};
