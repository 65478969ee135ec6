// htpasswd files: what is taken, and what is refused with its line and without its hash.
import { hashSync } from "bcryptjs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HtpasswdError, parseHtpasswd } from "../../src/lib/htpasswd.ts";

const HASH = hashSync("open", 4);
const wrong = (text: string): string => {
  try {
    parseHtpasswd(text);
  } catch (error) {
    if (!(error instanceof HtpasswdError)) throw error;
    return `${error.line}: ${error.message}`;
  }
  return "taken";
};

describe("parseHtpasswd", () => {
  it("takes users, comments, blank lines and either line end", () => {
    const users = parseHtpasswd(`\uFEFF# builders\r\n\r\nalice:${HASH}\r\n  bob jr:${HASH.replace("$2b$", "$2y$")}\n`);
    expect([...users.keys()]).toEqual(["alice", "bob jr"]);
    expect(users.get("alice")).toBe(HASH);
  });

  it.each([
    ["", "0: no user in it"],
    ["# nobody\n", "0: no user in it"],
    ["\nalice", "2: expected NAME:HASH"],
    [`:${HASH}`, "1: expected NAME:HASH"],
    ["alice:$apr1$abc$secret", '1: the hash of "alice" is not bcrypt\'s'],
    ["alice:{SHA}secret", "not bcrypt's"],
    ["alice:secret", "not bcrypt's"],
    [`alice:${HASH}:more`, "not bcrypt's"],
    [`alice:${HASH.replace("$04$", "$15$")}`, '1: the hash of "alice" has cost 15'],
    [`alice:${HASH}\nbob:${HASH}\nalice:${HASH}`, '3: the user "alice" is there twice'],
  ])("refuses %j", (text, why) => {
    expect(wrong(text)).toContain(why);
    expect(wrong(text)).not.toContain("secret");
  });

  it("takes what it can write, or says why not, whatever comes", () => {
    const line = fc.oneof(
      fc.string(),
      fc.string().map((name) => `${name}:${HASH}`),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 5 }), (lines) => {
        try {
          for (const hash of parseHtpasswd(lines.join("\n")).values()) expect(hash).toBe(HASH);
        } catch (error) {
          expect(error).toBeInstanceOf(HtpasswdError);
          expect((error as Error).message).not.toContain(HASH);
        }
      }),
    );
  });
});
