// Whether what came of a replayed request is right: the answer to the client, and what arrived at upstream.
import { expect } from "vitest";
import type { Logged } from "../faults/log.ts";
import type { FaultUpstream } from "../faults/upstream.ts";
import type { Replayed } from "./replay.ts";
import type { Scene } from "./scene.ts";

const BLOB = /^\/v2\/.+\/blobs\/(sha256:[0-9a-f]{64})$/;
const CONTENT = /^\/v2\/(.+)\/(?:blobs|manifests)\/([^/]+)$/;
const isRead = (method: string) => method === "GET" || method === "HEAD";

/** The status as it was, and where content was asked for, that content: whole, or the part that was asked for. */
export const judge = ({ replay, upstreams }: Scene, { asked, method, target, headers, answer }: Replayed): void => {
  const [, repo = "", reference = ""] = CONTENT.exec(target) ?? [];
  const isAnonymous = repo.startsWith("acme/public/") && !headers.some(([name]) => name.toLowerCase() === "authorization");
  // once a repository is known to be everybody's, which may be sooner or later than it was, nobody is challenged
  if (isAnonymous) expect.soft([401, 200, 206], asked.ask).toContain(answer.status);
  else expect.soft(answer.status, asked.ask).toBe(asked.status);
  if (![200, 206].includes(answer.status) || !isRead(method) || repo === "") return;
  const digest = reference.startsWith("sha256:") ? reference : tagged(upstreams, repo, reference);
  const whole = replay.bytesOf(digest);
  const range = headers.find(([name]) => name.toLowerCase() === "range")?.[1];
  const [, first = "0", last = ""] = (answer.status === 206 ? /^bytes=(\d+)-(\d*)$/.exec(range ?? "") : null) ?? [];
  const start = Number(first);
  const end = last === "" ? whole.length - 1 : Math.min(Number(last), whole.length - 1);
  const promised = Object.fromEntries(
    ["docker-content-digest", "content-length", "content-range"].map((name) => [name, answer.headers.get(name)]),
  );
  expect.soft(promised, asked.ask).toEqual({
    "docker-content-digest": digest,
    "content-length": String(end - start + 1),
    "content-range": answer.status === 206 ? `bytes ${start}-${end}/${whole.length}` : undefined,
  });
  if (method === "HEAD") return;
  const length = isAnonymous ? end - start + 1 : asked.bytes;
  expect.soft(answer.body.length, asked.ask).toBe(length);
  expect.soft(answer.body.equals(whole.subarray(start, start + length)), asked.ask).toBe(true);
};

const tagged = (upstreams: readonly FaultUpstream[], repo: string, tag: string): string =>
  upstreams.map(({ content }) => content.repos.get(repo)?.tags.get(tag)).find((digest) => digest !== undefined) ?? "";

/** A write that was answered is at upstream: the request with every header that was meant for it, what it brought byte for byte. */
export const judgeArrival = ({ replay, upstreams }: Scene, { asked, method, target, headers, answer }: Replayed): void => {
  if (isRead(method) || asked.torn || asked.left) return;
  const seen = upstreams.flatMap((upstream) => upstream.requests((each) => each.method === method && each.path === target));
  const {
    host: _host,
    connection: _connection,
    ...meant
  } = Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]));
  expect
    .soft(
      seen.map((each) => each.headers),
      asked.ask,
    )
    .toContainEqual(expect.objectContaining(meant));
  if (answer.status !== 201) return;
  const url = new URL(target, "https://here");
  const [, repo = "", reference = ""] = /^\/v2\/(.+?)\/(?:blobs|manifests)\/([^/]*)/.exec(url.pathname) ?? [];
  const repos = upstreams.map(({ content }) => content.repos.get(repo)).find((each) => each !== undefined);
  const digest = url.searchParams.get("digest") ?? url.searchParams.get("mount") ?? repos?.tags.get(reference) ?? reference;
  const bytes = repos?.blobs.get(digest) ?? repos?.manifests.get(digest)?.bytes;
  expect.soft(bytes?.equals(replay.bytesOf(digest)), `${asked.ask} brings ${digest}`).toBe(true);
  if (url.pathname.includes("/manifests/")) expect.soft(asked.body?.of, asked.ask).toBe(digest);
};

/** Downloads of blobs from upstream, by digest. */
export const downloads = ({ upstreams }: Scene): ReadonlyMap<string, readonly Logged[]> => {
  const gets = upstreams.flatMap((upstream) => upstream.requests((each) => isFetch(each) && BLOB.test(each.path)));
  return Map.groupBy(gets, ({ path }) => BLOB.exec(path)![1]!);
};

/** A GET that brought something: whoever is refused what is held is refused in upstream's own words, and those cost one as well. */
export const isFetch = ({ method, status }: Logged): boolean => method === "GET" && status < 300;
