import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { plainLine, plainText } from "../../src/lib/plain-text.ts";

describe("plain text", () => {
  it("has lines, and nothing that a terminal would obey", () => {
    expect(plainText("\u001b[31;1mred\u001b[0m\r\nnext\rover\tthere\u0007")).toBe("red\nnext\nover there");
    expect(plainText("a\u001b]0;title\u0007b\u001b]8;;http://x\u001b\\c")).toBe("abc");
    expect(plainText("a\u202eb\u0000c\u009bd\u200b\uFFFDe\u2028f")).toBe("abcde\nf");
    expect(plainText("\n\n  ünï 漢 🐳 \n")).toBe("ünï 漢 🐳");
  });

  it("of any text has no control character but the end of a line", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(plainText(text)).not.toMatch(/[^\P{C}\n]/u);
        const line = plainLine(text, 20);
        expect(line).not.toMatch(/\p{C}/u);
        expect(line.length).toBeLessThanOrEqual(20);
      }),
    );
  });

  it("is cut to a line between characters", () => {
    expect(plainLine("one\ntwo  three", 40)).toBe("one two three");
    expect(plainLine("one two three", 8)).toBe("one two…");
    expect(plainLine("🐳🐳🐳", 4)).toBe("🐳…");
  });
});
