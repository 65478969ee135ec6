// What a user does with a client, step by step, and what the client prints of it.
import { expect } from "vitest";
import type { Client } from "./clients/client.ts";

/** What is done, and how it is to end. */
export type Step = readonly [what: string, act: (client: Client) => Promise<unknown> | undefined, ends: "success" | "refusal"];

export const pull = (host: string, repository: string) => (client: Client) => client.pull(`${host}/${repository}:v1`);

/** What a client said when it failed, without the time of day, folders, and the command line that we gave it. */
const said = (error: unknown): string =>
  (error as Error).message
    .replace(/^.*: exit \d+ after \d+ ms\n/, "")
    .replace(/time="[^"]*"/g, "")
    .replaceAll(/\/run\/world\/\S+/g, "")
    .replaceAll(/(\/blobs\/uploads\/)[^\s:"]+/g, "$1…");

/** Does all of it, one after the other, and gives a line for each. */
export const tell = async (client: Client, story: readonly Step[]): Promise<string[]> => {
  const lines: string[] = [];
  for (const [what, act] of story) {
    const end = await Promise.resolve(act(client)).then(() => "success", said);
    lines.push(`${what}: ${end}`);
  }
  return lines;
};

export const asMeant = (lines: readonly string[], story: readonly Step[]): void =>
  expect(lines.map((line, n) => [story[n]![0], line.endsWith(": success") ? "success" : "refusal"])).toEqual(
    story.map(([what, , end]) => [what, end]),
  );
