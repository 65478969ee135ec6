import fc from "fast-check";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { silent } from "../../src/lib/log.ts";
import { bearerOf } from "../../src/upstream/challenge.ts";
import { ownRealms } from "../../src/upstream/own-realms.ts";
import { failureOf } from "./asking.ts";

/** As the realm comes: out of a challenge. */
const refusalOf = async (realm: string, upstream: string, site = new URL(upstream).hostname, realms: string[] = []) => {
  const url = bearerOf([`Bearer realm="${realm}",service="x"`])!.realm;
  return ownRealms({ host: site, realms }, silent)(url, new URL(upstream)).then(
    () => "",
    (error: unknown) => (error as Error).message,
  );
};

const whyNot = (url: URL): Promise<string> => {
  const realms = ownRealms({ host: "registry.acme.com", realms: [] }, silent);
  return realms(url, new URL(ACME)).then(
    () => "",
    (error: unknown) => (error as Error).message,
  );
};

const ACME = "https://registry.acme.com";

describe("our own credentials go", () => {
  it.each<[string, string, string?, string[]?]>([
    ["https://registry.acme.com/token", ACME],
    ["https://registry.acme.com:8443/token", ACME],
    ["https://auth.acme.com/token", ACME],
    ["https://AUTH.ACME.com./token", ACME],
    ["https://acme.com/token?account=x", ACME],
    ["https://auth.bücher.de/token", "https://registry.xn--bcher-kva.de"],
    ["https://auth.corp.internal/token", "https://registry.corp.internal:5000"],
    ["https://auth.acme.com/token", "https://10.0.0.5", "registry.acme.com"],
    ["https://10.0.0.5/token", "https://10.0.0.5:5000", "registry.acme.com"],
    ["https://[fd00::1]/token", "https://[fd00::1]:5000", "registry.acme.com"],
    ["https://login.other.org/token", ACME, "registry.acme.com", ["login.other.org"]],
    ["https://auth.docker.io/token", "https://registry-1.docker.io"],
    ["https://auth.docker.io/token", "https://mirror.acme.com", "registry-1.docker.io"],
    ["https://gitlab.com/jwt/auth", "https://registry.gitlab.com"],
    ["http://127.0.0.1:5000/token", "http://127.0.0.1:5000", "local.example"],
  ])("to %s of %s", async (...realm) => expect(await refusalOf(...realm)).toBe(""));
});

describe("our own credentials do not go", () => {
  it.each<[string, string, string?, string[]?]>([
    ["https://evil.org/registry.acme.com", ACME],
    ["https://registry.acme.com@evil.org/token", ACME],
    ["https://ann:pw@auth.acme.com/token", ACME],
    ["https://registry.acme.com.evil.org/token", ACME],
    ["https://registry-acme.com/token", ACME],
    ["https://evil.org\\\\.acme.com/token", ACME],
    ["https://xn--acm-dma.com/token", ACME],
    ["https://acme.com../token", ACME],
    ["https://auth..acme.com/token", ACME],
    ["https://acmé.com/token", ACME],
    ["http://registry.acme.com/token", ACME, "registry.acme.com", ["registry.acme.com"]],
    ["http://auth.acme.com/token", "http://registry.acme.com"],
    ["http://127.0.0.1:5001/token", "http://127.0.0.1:5000", "local.example"],
    ["https://evil.github.io/token", "https://acme.github.io"],
    ["https://evil.s3.amazonaws.com/token", "https://acme.s3.amazonaws.com"],
    ["https://s3.amazonaws.com/token", "https://acme.s3.amazonaws.com"],
    ["https://evil.co.uk/token", "https://acme.co.uk"],
    ["https://co.uk/token", "https://acme.co.uk"],
    ["https://internal/token", "https://registry.internal"],
    ["https://evil.internal/token", "https://registry.internal"],
    ["https://10.0.0.6/token", "https://10.0.0.5", "registry.acme.com"],
    ["https://169.254.169.254/latest", ACME],
    ["https://2130706433/token", ACME],
    ["https://[::1]/token", ACME],
    ["https://[::ffff:10.0.0.5]/token", "https://10.0.0.5", "registry.acme.com"],
    ["https://localhost/token", ACME],
    ["https://sub.login.other.org/token", ACME, "registry.acme.com", ["login.other.org"]],
    ["https://auth.docker.io/token", ACME],
  ])("to %s of %s", async (...realm) => expect(await refusalOf(...realm)).toContain("our credentials are not sent to the realm"));

  it("to anywhere but that domain, however its name is written", () => {
    const part = fc.constantFrom(
      "acme",
      ".",
      "com",
      "@",
      "/",
      ":",
      "\\",
      "%2e",
      "#",
      "?",
      "evil",
      "org",
      "ACME",
      "443",
      "。",
      "xn--",
      "[::1]",
      " ",
    );
    const realm = fc.array(part, { maxLength: 12 }).map((parts) => `https://${parts.join("")}`);
    return fc.assert(
      fc.asyncProperty(realm, async (text) => {
        const url = URL.parse(text);
        if (url === null || (await whyNot(url)) !== "") return;
        expect(url.username + url.password).toBe("");
        expect(url.hostname.replace(/\.$/, "")).toMatch(/^(.+\.)?acme\.com$/);
      }),
      { numRuns: 2_000 },
    );
  });

  it("and the log says once in a while where to and why, with nothing of the realm's but its host", async () => {
    const lines: Record<string, unknown>[] = [];
    const log = pino({ base: null, timestamp: false }, { write: (line: string) => void lines.push(JSON.parse(line) as never) });
    const realms = ownRealms({ host: "registry.acme.com", realms: [] }, log);
    const realm = new URL(`https://ann:hunter2@${"a".repeat(63)}.${"b".repeat(63)}.evil.org/token?secret=hunter2`);
    for (let n = 0; n < 3; n += 1) {
      const failure = await failureOf(realms(realm, new URL(ACME)));
      expect(failure.code).toBe("UPSTREAM_INVALID");
      expect(failure.message).not.toContain("hunter2");
    }
    const named = `https://${"a".repeat(63)}.${"b".repeat(28)}`;
    const why = "it has a user's name in it";
    expect(lines).toMatchObject([{ level: 40, site: "registry.acme.com", upstream: ACME, realm: named, why, times: 1 }]);
    expect(JSON.stringify(lines)).not.toContain("hunter2");
  });
});
