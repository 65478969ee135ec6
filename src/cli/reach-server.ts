// Where a server's admin listener is, and its token.
import { readFile } from "node:fs/promises";
import type { Server } from "../admin/remote.ts";
import { adminTokenIn } from "../admin/token-file.ts";
import type { Config } from "../config/config.ts";
import { formatAddress, fromHere } from "../lib/listen.ts";
import { tokenIn } from "../lib/secret.ts";
import { whyUnread } from "../lib/text-file.ts";
import { Failure, type ReachOptions } from "./reach.ts";

const TOKEN = "LAYOVER_ADMIN_TOKEN";

/** The server that --server names. Throws Failure. */
export const namedServer = async ({ server, tokenFile }: ReachOptions): Promise<Server | undefined> => {
  if (server === undefined) return undefined;
  const url = urlOf(server);
  const token = tokenFile === undefined ? fromEnvironment() : await readToken(tokenFile);
  if (token === undefined)
    throw new Failure(
      2,
      `--server needs the token of that Layover (admin.token in its data folder): --token-file FILE, or ${TOKEN}`,
    );
  return { url, token };
};

/** `undefined`: it has no listener, or has never run. Throws Failure when it may have run, and its token cannot be read. */
export const ownServer = async (
  { listen, data }: Pick<Config, "listen" | "data">,
  { tokenFile }: ReachOptions,
): Promise<Server | undefined> => {
  if (listen.admin === undefined) return undefined;
  const url = new URL(`http://${formatAddress(fromHere(listen.admin))}`);
  const given = tokenFile === undefined ? fromEnvironment() : await readToken(tokenFile);
  const token = given ?? (await readToken(adminTokenIn(data), true));
  return token === undefined ? undefined : { url, token };
};

const fromEnvironment = (): string | undefined => {
  const text = process.env[TOKEN];
  return text === undefined || text === "" ? undefined : asToken(text, TOKEN);
};

const urlOf = (text: string): URL => {
  const full = /^https?:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(full))
    throw new Failure(2, `--server: expected a URL such as http://10.0.0.5:9180, found ${JSON.stringify(text)}`);
  return new URL(full);
};

const readToken = async (file: string, mayLack = false): Promise<string | undefined> => {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && mayLack) return undefined;
    if (code === "EACCES") throw new Failure(3, `${file} may not be read: run this as the user that Layover runs as, or as root`);
    throw new Failure(2, `cannot read ${file}: ${whyUnread(error)}`);
  }
  return asToken(text, file);
};

const asToken = (text: string, place: string): string => {
  try {
    return tokenIn(text, place);
  } catch (error) {
    throw new Failure(2, (error as Error).message);
  }
};
