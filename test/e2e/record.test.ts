// Records anew what clients send, into test/traffic: RECORD=1 npm run test:e2e -- test/e2e/record.test.ts
// RECORD=skopeo,crane records those alone. Without RECORD nothing is run and nothing written.
import { mkdir, writeFile } from "node:fs/promises";
import { describe, expect, onTestFailed, test } from "vitest";
import { APP, BIG, LOST_NOTES, MULTI, MULTI_INDEX, NOTES, TORN_AT } from "../traffic/content.ts";
import { format, type Recording } from "../traffic/recording.ts";
import { outcome } from "./part.ts";
import type { Client, Done, Names } from "./record/client.ts";
import { CLIENTS } from "./record/every.ts";
import { DNS, Recorder } from "./record/recorder.ts";
import { Transcript } from "./record/transcript.ts";
import { ADDRESS as TOKENS } from "./tokens.ts";
import { GUARDED, OPEN, World } from "./world.ts";

const WANTED = process.env["RECORD"] ?? "";
const TRAFFIC = new URL("../traffic/", import.meta.url).pathname;
const ALL = Object.keys(CLIENTS);
const wanted = WANTED === "1" ? ALL : WANTED.split(",").filter(Boolean);

describe.skipIf(WANTED === "")("recorded", () => {
  test.each(wanted)(
    "%s",
    async (name) => {
      expect(ALL).toContain(name);
      // what one client has asked must not change what the next is answered
      await using world = await start();
      onTestFailed(() => world.explain());
      const client = await world.client(name);
      try {
        const recording = await record(name, client, world.recorder);
        await writeFile(`${TRAFFIC}${name}.json`, format(recording));
      } finally {
        await client.stop();
      }
    },
    600_000,
  );
});

/** A world that holds what is pulled, and a recorder before its Layover. */
const start = async () => {
  const world = await World.start();
  await world.layover.start();
  const rest = new Map([["gitlab.com", TOKENS]]);
  const { certificate } = world.layover;
  const recorder = await Recorder.start(world.authority, [OPEN, GUARDED], rest, certificate, `${world.dir}/dns.log`);
  await world.open.put(APP, "acme/app", "v1");
  await world.guarded.put(APP, "acme/public/app", "v1");
  await world.guarded.put(NOTES.image, "alice/held", "v1");
  await putIndex(world);
  return {
    recorder,
    /** One that has never been used. */
    client: async (name: string): Promise<Client> => {
      const dir = `${world.dir}/c`; // short: a socket's path has 107 bytes at most
      await mkdir(dir);
      return CLIENTS[name]!(dir, { dns: DNS, publicCa: world.authority.certificate }, namesFor(name));
    },
    explain: () => world.explain(),
    [Symbol.asyncDispose]: async () => {
      await recorder.stop();
      await world.stop();
    },
  };
};

const putIndex = async ({ open }: World): Promise<void> => {
  for (const [n, image] of MULTI.entries()) await open.put(image, "acme/multi", `part${n}`);
  const { status } = await open.straight("PUT", "/v2/acme/multi/manifests/v1", MULTI_INDEX.bytes, MULTI_INDEX.mediaType);
  expect(status).toBe(201);
};

const namesFor = (client: string): Names => ({
  app: `${OPEN}/acme/app:v1`,
  repository: `${OPEN}/acme/app`,
  index: `${OPEN}/acme/multi:v1`,
  fresh: `${OPEN}/acme/fresh-${client}`,
});

const record = async (name: string, client: Client, recorder: Recorder): Promise<Recording> => {
  const transcript = new Transcript(name, client.version);
  for (const [scenario, act] of scenarios(name, client, recorder)) {
    if (act === undefined) continue;
    if (scenario === FORGET) {
      await act();
      continue;
    }
    const { result, heard } = await recorder.session(act as () => Promise<Done>);
    const said = outcome(result.ran);
    if (said !== "success") console.error(`${name}, ${scenario}: ${said}`);
    if (!scenario.includes("torn")) expect(said, scenario).toBe("success");
    transcript.add(scenario, result.command, said === "success", heard);
  }
  return transcript.recording;
};

const FORGET = "forget";
type Act = (() => Promise<unknown>) | undefined;

/** What is undefined the client cannot do. */
const scenarios = (name: string, client: Client, recorder: Recorder): readonly (readonly [string, Act])[] => {
  const { pull, push, copy, login, extras, forget, tearAt = TORN_AT } = client;
  const { app, repository, index } = namesFor(name);
  const pushed = `${OPEN}/acme/notes-${name}:v1`;
  const owned = push ? `${GUARDED}/alice/notes-${name}:v1` : `${GUARDED}/alice/held:v1`;
  const tornPull = () => {
    recorder.tearOnce(BIG.digest, tearAt);
    return pull(app);
  };
  const tornPush = (what: NonNullable<typeof push>) => () => {
    recorder.tearUploadOnce();
    return what(LOST_NOTES, `${OPEN}/acme/torn-${name}:v1`);
  };
  return [
    ["pull by tag", () => pull(app)],
    ["pull by tag again", () => pull(app)],
    ["push of what was pulled, to another repository", copy && (() => copy(app, `${repository}-${name}:v1`))],
    [FORGET, forget],
    ["pull by digest", () => pull(`${repository}@${APP.manifest.digest}`)],
    [FORGET, forget],
    ["pull of an index", () => pull(index)],
    [FORGET, forget],
    ["pull with an anonymous token", () => pull(`${GUARDED}/acme/public/app:v1`)],
    [FORGET, forget],
    ["push", push && (() => push(NOTES, pushed))],
    ["push again", push && (() => push(NOTES, pushed))],
    [FORGET, forget],
    ["login", login && (() => login("alice", GUARDED))],
    ["push with a credential", push && (() => push(NOTES, owned, "alice"))],
    [FORGET, forget],
    ["pull with a credential", () => pull(owned, "alice")],
    [FORGET, forget],
    ...Object.entries(extras),
    [FORGET, forget],
    ["pull by tag, torn", tornPull],
    ["push, torn", push && tornPush(push)],
  ];
};
