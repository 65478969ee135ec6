// Whatever comes when (rights given and taken, tokens made, exchanged and shown, refusals, time, outages): nobody reads by a token what it
// does not name, or what it was made for nobody with the right to; and a right that is gone is out within grantFor, or in an outage staleAccess.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parsePublicKeys } from "../../src/lib/public-keys.ts";
import { exchanges } from "../../src/registry/exchanged.ts";
import { subjectOf } from "../../src/registry/subject.ts";
import { fixedKeys } from "../../src/registry/token-keys.ts";
import { voucher } from "../../src/registry/vouch.ts";
import { access, claimsAt, ecSigner, jwks, SERVICE, signed } from "./signer.ts";
import { blob, context, HOUR, MINUTE, readBlob, SECRET, stack } from "./stack.ts";

const ours = ecSigner();
const forger = ecSigner();
const KEYS = parsePublicKeys(jwks([ours]));
const USERS = ["ann", "bob"] as const;
const REPOS = ["one/app", "two/app"] as const;
type User = (typeof USERS)[number];
type Repo = (typeof REPOS)[number];

const user = fc.constantFrom(...USERS);
const repo = fc.constantFrom(...REPOS);
const act = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: fc.constant("give" as const), user, repo }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("take" as const), user, repo }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("make" as const),
      user,
      repos: fc.uniqueArray(repo, { minLength: 1 }),
      kind: fc.constantFrom("keys" as const, "exchange" as const, "forged" as const, "unseen" as const),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("pull" as const), token: fc.nat(), repo }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("pass" as const),
      ms: fc.constantFrom(1_000, MINUTE, 3 * MINUTE, 6 * MINUTE, 3 * HOUR, 25 * HOUR),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("cut" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("mend" as const) }) },
);

interface Made {
  readonly bearer: string;
  readonly user: User;
  readonly kind: "keys" | "exchange" | "forged" | "unseen";
  /** That the token server has put into it. */
  readonly names: ReadonlySet<Repo>;
  readonly madeAt: number;
}

const LIFE = 5 * MINUTE;

const world = async () => {
  const given = exchanges();
  const made = stack({}, undefined, {}, undefined, undefined, (clock) => ({
    exchanges: given,
    voucher: voucher({ keys: fixedKeys(KEYS), audience: () => Promise.resolve(SERVICE), secret: SECRET, clock }),
  }));
  const { upstream, registry, clock, site } = made;
  const layers = {} as Record<Repo, ReturnType<typeof upstream.blob>>;
  for (const name of REPOS) {
    upstream.repo(name, { readers: ["Basic filler"] });
    layers[name] = upstream.blob(name, Buffer.from(`the layer of ${name}`));
    await readBlob(registry, blob(name, layers[name]), context("Basic filler"));
  }
  const rights = new Set<string>();
  /** When each right was last there. */
  const lastThere = new Map<string, number>();
  const tokens: Made[] = [];
  const key = (who: User, name: Repo) => `${who} ${name}`;
  /** Upstream takes what its token server has made, while that lasts and its user has the right. */
  const settle = () => {
    for (const name of REPOS) {
      const { readers } = upstream.repo(name);
      for (const { bearer, user, names, madeAt, kind } of tokens) {
        const isGood = kind !== "forged" && names.has(name) && clock() < madeAt + LIFE && rights.has(key(user, name));
        if (isGood) readers.add(bearer);
        else readers.delete(bearer);
      }
    }
    for (const right of rights) lastThere.set(right, clock());
  };
  const make = (who: User, repos: readonly Repo[], kind: Made["kind"]): void => {
    const names = new Set(repos.filter((name) => rights.has(key(who, name))));
    const list = [...names].map((name) => access(name, "pull"));
    const jwt = signed(kind === "keys" ? ours : forger, {}, claimsAt(clock(), { sub: who, access: list, jti: tokens.length }));
    const bearer = `Bearer ${kind === "keys" || kind === "forged" ? jwt : `opaque${tokens.length}`}`;
    tokens.push({ bearer, user: who, kind, names, madeAt: clock() });
    if (kind !== "exchange") return;
    // what was asked for is all that is seen of an opaque one
    const exchanged = { subject: subjectOf(`Basic ${who}`, SECRET), pulls: new Set<string>(repos) };
    given.note(site.host, subjectOf(bearer, SECRET), { ...exchanged, since: clock(), until: clock() + LIFE });
  };
  const mayHave = ({ user: who, kind, names, madeAt }: Made, name: Repo, isCut: boolean): boolean => {
    const longest = isCut ? site.staleAccess : site.grantFor;
    const since = clock() - (lastThere.get(key(who, name)) ?? Number.NEGATIVE_INFINITY);
    if (kind === "forged") return false;
    if (kind === "exchange") return since <= longest;
    if (kind === "keys" && names.has(name) && clock() < madeAt + LIFE) return true;
    return names.has(name) && clock() - madeAt <= site.staleAccess + LIFE && (isCut || since <= longest);
  };
  return { ...made, layers, rights, tokens, key, settle, make, mayHave };
};

describe("a token", () => {
  it("never lets in whom it should not, nor for longer than it should", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 40 }), async (acts) => {
        const w = await world();
        let isCut = false;
        for (const one of acts) {
          if (one.do === "give") w.rights.add(w.key(one.user, one.repo));
          if (one.do === "take") w.rights.delete(w.key(one.user, one.repo));
          if (one.do === "make") w.make(one.user, one.repos, one.kind);
          if (one.do === "pass") w.pass(one.ms);
          if (one.do === "cut") {
            isCut = true;
            w.cut();
          }
          if (one.do === "mend") {
            isCut = false;
            w.upstream.failure = undefined;
          }
          w.settle();
          if (one.do !== "pull" || w.tokens.length === 0) continue;
          const token = w.tokens[one.token % w.tokens.length]!;
          const came = await readBlob(w.registry, blob(one.repo, w.layers[one.repo]), context(token.bearer)).catch(
            () => undefined,
          );
          if (came !== undefined)
            expect({ ...token, repo: one.repo, isCut, ok: w.mayHave(token, one.repo, isCut) }).toMatchObject({ ok: true });
        }
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});
