// `npm run bench`: Layover beside its neighbours. It fails where something could not be measured or an answer was wrong, never for being slow.
import { mkdir, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { FIGURES, type Figure } from "./figures.ts";
import { type Machine, machine } from "./machine.ts";
import { FULL, QUICK } from "./pace.ts";
import { markdown, type Result, table } from "./report.ts";
import { say } from "./rounds.ts";
import { Stage } from "./stage.ts";
import { wrongs } from "./statistics.ts";

const USAGE = `usage: npm run bench -- [options]

  --quick             a look within minutes; without it, figures to show
  --only NAME,NAME    these measurements alone: ${FIGURES.map(({ name }) => name).join(", ")}
  --json FILE         every round, and the machine; - for the output, where the table then goes to stderr
  --markdown          the table as it stands in the README
  --profile DIR       CPU profiles of Layover's processes, written when they end
`;

const OPTIONS = {
  quick: { type: "boolean" },
  only: { type: "string" },
  json: { type: "string" },
  markdown: { type: "boolean" },
  profile: { type: "string" },
  help: { type: "boolean" },
} as const;

const chosen = (only: string | undefined): readonly Figure[] => {
  if (only === undefined) return FIGURES;
  const names = only.split(",");
  const unknown = names.find((name) => !FIGURES.some((figure) => figure.name === name));
  if (unknown !== undefined) throw new Error(`there is no measurement ${unknown}`);
  return FIGURES.filter(({ name }) => names.includes(name));
};

const measure = async (stage: Stage, figures: readonly Figure[]): Promise<{ results: Result[]; about: Machine }> => {
  await stage.start();
  for (const { before } of figures) await before?.(stage);
  const about = await machine(stage);
  const results: Result[] = [];
  for (const figure of figures) {
    const began = performance.now();
    const result = await figure.measure(stage).then(
      (rounds): Result => ({ figure, rounds }),
      (error: unknown): Result => ({ figure, rounds: {}, failed: String(error) }),
    );
    results.push(result);
    say(`${figure.name}: ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  }
  return { results, about };
};

const asJson = (results: readonly Result[], about: Machine, quick: boolean): string => {
  const measurements = results.map(({ figure, rounds, failed }) => ({
    name: figure.name,
    metrics: figure.metrics,
    rounds,
    failed,
  }));
  return `${JSON.stringify({ machine: about, quick, measurements }, undefined, 2)}\n`;
};

const main = async (): Promise<number> => {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const figures = chosen(values.only);
  const place = process.env["LAB_WORLD"];
  if (!place) throw new Error("this needs a world of its own; run it with: npm run bench");
  const profile = values.profile && resolve(values.profile);
  if (profile) await mkdir(profile, { recursive: true });
  const quick = values.quick === true;
  const stage = await Stage.set(`${place}/stage`, quick ? QUICK : FULL, profile);
  try {
    const { results, about } = await measure(stage, figures);
    const text = `${(values.markdown ? markdown : table)(results, about)}\n`;
    if (values.json === "-") process.stdout.write(asJson(results, about, quick));
    else if (values.json) await writeFile(values.json, asJson(results, about, quick));
    (values.json === "-" ? process.stderr : process.stdout).write(text);
    return results.some(({ rounds, failed }) => failed !== undefined || wrongs(rounds).length > 0) ? 1 : 0;
  } finally {
    await stage.stop();
  }
};

try {
  process.exitCode = await main();
} catch (error) {
  say(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exitCode = 2;
}
