// htpasswd files (`htpasswd -B`): a user and a bcrypt hash a line. Hashes that a graphics card guesses by the billion are refused.

/** By name. */
export type Users = ReadonlyMap<string, string>;

export class HtpasswdError extends Error {
  /** From 1; 0: it is about the whole file. */
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.name = "HtpasswdError";
    this.line = line;
  }
}

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
/** The next one would take a second and more for every login. */
const MOST_COST = 14;
const MAX_USERS = 10_000;

/** Throws HtpasswdError; its message never holds a hash. */
export const parseHtpasswd = (text: string): Users => {
  const users = new Map<string, string>();
  for (const [i, raw] of text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .entries()) {
    const line = raw.replace(/\r$/, "").trim();
    if (line === "" || line.startsWith("#")) continue;
    const [name, hash] = parseLine(i + 1, line);
    if (users.has(name)) throw new HtpasswdError(i + 1, `the user ${JSON.stringify(name)} is there twice`);
    users.set(name, hash);
    if (users.size > MAX_USERS) throw new HtpasswdError(i + 1, `more than ${MAX_USERS} users`);
  }
  if (users.size === 0) throw new HtpasswdError(0, "no user in it: make one with `htpasswd -B -c FILE NAME`");
  return users;
};

const parseLine = (line: number, text: string): readonly [string, string] => {
  const colon = text.indexOf(":");
  const name = text.slice(0, colon);
  if (colon < 1 || name.length > 255 || /\p{Cc}/u.test(name)) throw new HtpasswdError(line, "expected NAME:HASH");
  const hash = text.slice(colon + 1);
  const match = BCRYPT.exec(hash);
  if (match === null)
    throw new HtpasswdError(line, `the hash of ${JSON.stringify(name)} is not bcrypt's: make it with \`htpasswd -B\``);
  const cost = Number(match[1]);
  if (cost < 4 || cost > MOST_COST)
    throw new HtpasswdError(line, `the hash of ${JSON.stringify(name)} has cost ${cost}: from 4 to ${MOST_COST} are taken`);
  return [name, hash];
};
