// An outage, and clients that show their login only to who asks for it: whoever could be told here is asked, and nobody else.
import { describe, expect, it } from "vitest";
import { OciError } from "../../src/oci/error.ts";
import type { Registry } from "../../src/oci/registry.ts";
import { askLogin } from "../../src/registry/ask-login.ts";
import type { Site } from "../../src/sites.ts";
import { memoryFacts } from "../../src/store/memory-facts.ts";
import { context, manifest } from "./stack.ts";

const SITE = { host: "registry.example", offline: false } as unknown as Site;
const BEARER = 'Bearer realm="https://realm.example/token",service="registry"';
const BASIC = 'Basic realm="registry"';

/** What who shows `credential` is told, `answers` being whether the realm can be reached. */
const told = async (challenge: string, tells: boolean, answers = true, credential?: string) => {
  const facts = memoryFacts();
  await facts.putPing(SITE.host, { status: 401, challenges: [challenge], at: 0 });
  const away = { getManifest: () => Promise.reject(new OciError("UPSTREAM_UNREACHABLE", "gone")) } as unknown as Registry;
  const registry = askLogin(away, {
    ...{ site: SITE, facts },
    realmAnswers: () => Promise.resolve(answers),
    tellsTokens: () => Promise.resolve(tells),
  });
  const answer = registry.getManifest(manifest("alice/app", "v1"), context(credential));
  const error: unknown = await answer.catch((thrown: unknown) => thrown);
  const { status, challenges } = error as OciError;
  return { status, challenges };
};

const OUTAGE = { status: 503, challenges: [] };

describe("in an outage who shows nothing", () => {
  it("is asked by Basic where upstream asks so", async () => {
    expect(await told(BASIC, false)).toEqual({ status: 401, challenges: [BASIC] });
  });

  it("is sent for a token of the repository where it can be told here whom one is for, while somebody gives tokens", async () => {
    const challenges = [`${BEARER},scope="repository:alice/app:pull"`];
    expect(await told(BEARER, true)).toEqual({ status: 401, challenges });
    expect(await told(challenges[0]!, true)).toEqual({ status: 401, challenges });
    expect(await told(BEARER, true, false)).toEqual(OUTAGE);
  });

  it("is sent for no token where it cannot be told", async () => {
    expect(await told(BEARER, false)).toEqual(OUTAGE);
  });
});

it("who shows something is not asked again", async () => {
  for (const challenge of [BASIC, BEARER]) expect(await told(challenge, true, true, "Bearer x")).toEqual(OUTAGE);
});
