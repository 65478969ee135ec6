// What a client is told to do while it is recorded. Its command lines come from a table, and are run one after the other.
import { readlink } from "node:fs/promises";
import type { Pushed } from "../../traffic/content.ts";
import { Place } from "../clients/client.ts";
import type { Network } from "../engine.ts";
import { must, type Ran } from "../part.ts";
import { USERS } from "../tokens.ts";

export type Command = readonly string[];
/** What was done, for the record: the last command, which is the one that asks the registry. */
export type Done = { readonly command: string; readonly ran: Ran };

/** What the recorded registry holds, by how it is asked for. */
export interface Names {
  /** An image of one platform, and its repository. */
  readonly app: string;
  readonly repository: string;
  readonly index: string;
  /** A repository that nobody has pushed to yet. */
  readonly fresh: string;
}

export interface Client {
  readonly version: string;
  readonly pull: (reference: string, user?: string) => Promise<Done>;
  /** Undefined where it cannot. */
  readonly push: ((what: Pushed, reference: string, user?: string) => Promise<Done>) | undefined;
  /** Pushes what it holds, or another repository of the same registry. */
  readonly copy: ((from: string, to: string) => Promise<Done>) | undefined;
  /** Undefined where it says who it is with each command. */
  readonly login: ((user: string, host: string) => Promise<Done>) | undefined;
  /** What else it can do that asks a registry. */
  readonly extras: Readonly<Record<string, () => Promise<Done>>>;
  /** Where its downloads of a large blob are torn: bytes into one of its requests. */
  readonly tearAt?: number;
  /** From now on it holds no image. */
  readonly forget: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export type Start = (dir: string, network: Network, names: Names) => Promise<Client>;

/** The command lines of one tool. */
export interface Tool {
  /** The command whose version is what matters. */
  readonly command: string;
  readonly pull: (reference: string, user?: string) => Promise<readonly Command[]>;
  readonly push?: (what: Pushed, reference: string, user?: string) => Promise<readonly Command[]>;
  readonly copy?: (from: string, to: string) => Promise<readonly Command[]>;
  readonly login?: (user: string, host: string) => Promise<readonly Command[]>;
  readonly extras?: (names: Names) => Promise<Readonly<Record<string, readonly Command[]>>>;
  readonly tearAt?: number;
  readonly forget?: readonly Command[];
  readonly stop?: () => Promise<void>;
}

/** As a reader would type it. */
const typed = (argv: Command, { dir }: Place): string => {
  const text = argv.map((word) => word.replaceAll(dir, "$DIR")).join(" ");
  return Object.entries(USERS).reduce((told, [user, password]) => told.replaceAll(password, `<${user}'s>`), text);
};

/** Runs all of them; only the last may fail. */
const runAll = async (commands: readonly Command[], place: Place): Promise<Done> => {
  for (const argv of commands.slice(0, -1)) await place.must(argv);
  const last = commands.at(-1)!;
  return { command: typed(last, place), ran: await place.run(last) };
};

/** Of what the lab has built, by where its link leads; of Debian's packages, as they say it. */
export const versionOf = async (command: string): Promise<string> => {
  const link = await readlink(`${process.env["LAYOVER_LAB"]}/bin/${command}`).catch(() => "");
  const [, version] = /@([^/]+)/.exec(link) ?? [];
  return version === undefined ? (await must([command, "--version"])).trim() : `${command} ${version}`;
};

export const tool =
  (make: (place: Place, network: Network) => Tool | Promise<Tool>): Start =>
  async (dir, network, names) => {
    const place = await Place.make(dir, network);
    const { command, pull, push, copy, login, extras, forget = [], tearAt, stop } = await make(place, network);
    const all = (commands: readonly Command[]) => runAll(commands, place);
    const more = Object.entries((await extras?.(names)) ?? {});
    return {
      version: await versionOf(command),
      pull: async (reference, user) => all(await pull(reference, user)),
      push: push && (async (what, reference, user) => all(await push(what, reference, user))),
      copy: copy && (async (from, to) => all(await copy(from, to))),
      login: login && (async (user, host) => all(await login(user, host))),
      extras: Object.fromEntries(more.map(([scenario, commands]) => [scenario, () => all(commands)])),
      ...(tearAt !== undefined && { tearAt }),
      forget: async () => {
        for (const argv of forget) await place.must(argv);
      },
      stop: async () => stop?.(),
    };
  };
