import { BlockList } from "node:net";
import fc from "fast-check";
import { expect, it } from "vitest";
import { answerFor, describeAnswers, namedAnswers } from "../../src/lib/answers.ts";

const octet = fc.constantFrom(0, 1, 2, 127, 128, 255);
const address = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join("."));
const prefix = fc.tuple(address, fc.integer({ min: 0, max: 32 })).map(([base, bits]) => ({ base, bits }));

it("finds the longest prefix that holds a client, as a naive search does", () => {
  fc.assert(
    fc.property(fc.uniqueArray(prefix, { maxLength: 8, selector: ({ bits }) => bits }), address, (prefixes, client) => {
      const answerIn = prefixes.map(({ base, bits }) => ({ prefix: `${base}/${bits}`, answer: [`${bits}`] }));
      const holding = prefixes.filter(({ base, bits }) => {
        const list = new BlockList();
        list.addSubnet(base, bits);
        return list.check(client);
      });
      const longest = Math.max(-1, ...holding.map(({ bits }) => bits));
      expect(answerFor({ answer: "auto", answerIn })(client)).toEqual(longest === -1 ? "auto" : [`${longest}`]);
    }),
  );
});

it("names each address once, and says what is for whom", () => {
  const answers = {
    answer: ["10.0.0.5"],
    answerIn: [
      { prefix: "10.1.0.0/16", answer: ["10.1.0.2", "10.0.0.5"] },
      { prefix: "10.2.0.0/16", answer: "auto" as const },
    ],
  };
  expect(namedAnswers(answers)).toEqual(["10.0.0.5", "10.1.0.2"]);
  expect(describeAnswers(answers, "what fits")).toBe("10.0.0.5; in 10.1.0.0/16 10.1.0.2, 10.0.0.5; in 10.2.0.0/16 what fits");
});
