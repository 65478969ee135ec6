// What commands print for people, of answers that are given.
import { describe, expect, it } from "vitest";
import type { Explained } from "../../src/admin/answers.ts";
import { printExplained } from "../../src/cli/explain-print.ts";
import { ago } from "../../src/cli/table.ts";
import { printRefreshed, printWarmed } from "../../src/cli/warm-run.ts";

const A = `sha256:${"a".repeat(64)}`;
const B = `sha256:${"b".repeat(64)}`;
const NOW = Date.parse("2026-01-01T10:00:00Z");

describe("explain", () => {
  const explained: Explained = {
    reference: "ghcr.io/acme/app:1",
    site: "ghcr.io",
    repository: "acme/app",
    rule: { position: 2, match: "acme/**" },
    policy: {
      freshFor: 300_000,
      staleWhileRevalidate: 0,
      staleIfError: 2_592_000_000,
      onGone: "keep",
      pin: false,
      deny: false,
      onMissing: "cache",
    },
    held: { digest: A, isHeld: true, size: 1_234, mediaType: "application/x", checkedAt: "2026-01-01T09:57:00Z", doubted: false },
    upstream: "up",
    anonymous: "live",
    now: { outcome: "served", forMs: 119_500, why: "it is fresh, and the repository is public" },
  };

  it("says what is so and why", () =>
    expect(printExplained(explained, NOW)).toBe(`image       ghcr.io/acme/app:1
rule        2: acme/**
policy      freshFor 5m, staleWhileRevalidate 0s, staleIfError 30d, onGone keep
held        ${A}, 1.21 KiB, application/x, checked 3 min ago
upstream    up
anybody     may read the repository: upstream has said so lately
now         served, for 120 s: it is fresh, and the repository is public
`));

  it("says what is pinned, denied, or not here", () => {
    const { rule: _, held: __, ...bare } = explained;
    const pinned = printExplained({ ...bare, policy: { ...bare.policy, pin: true } }, NOW);
    expect(pinned).toContain(
      "rule        none: the site's own values hold\npolicy      pinned: it never moves\nheld        nothing\n",
    );
    expect(printExplained({ ...bare, policy: { ...bare.policy, deny: true } }, NOW)).toContain("policy      denied\n");
    const away = printExplained({ ...explained, held: { digest: A, isHeld: false, doubted: true } }, NOW);
    expect(away).toContain(`held        ${A}, its bytes are not here, a write has gone by since\n`);
    const since = new Date(NOW - 300_000).toISOString();
    const hold = { kind: "rollback", since } as const;
    expect(printExplained({ ...explained, held: { digest: A, isHeld: true, hold } }, NOW)).toContain(
      "stays       by rollback, 5 min ago; until: layover tags unpin ghcr.io/acme/app:1\n",
    );
  });
});

describe("warm and refresh", () => {
  it("say what became of each image", () => {
    const warmed = {
      reference: "ghcr.io/acme/app:1",
      digest: A,
      manifests: 2,
      blobs: 5,
      held: 1024,
      fetched: 2048,
      failures: [],
    };
    const failure = { reference: B, code: "UPSTREAM_UNREACHABLE", message: "it is away" };
    expect(printWarmed({ images: [warmed, { ...warmed, failures: [failure] }] })).toBe(
      `ghcr.io/acme/app:1  sha256:aaaaaaaaaaaa  2 manifests, 5 blobs: 2.00 KiB fetched, 1.00 KiB held before
ghcr.io/acme/app:1  sha256:aaaaaaaaaaaa  2 manifests, 5 blobs: 2.00 KiB fetched, 1.00 KiB held before
  sha256:bbbbbbbbbbbb: UPSTREAM_UNREACHABLE: it is away
`,
    );
    const reference = "ghcr.io/acme/app:1";
    const images = [
      { reference, outcome: "same", before: A, after: A, upstream: A },
      { reference, outcome: "moved", before: A, after: B, upstream: B },
      { reference, outcome: "new", after: B, upstream: B },
      { reference, outcome: "gone", failure: { reference, code: "MANIFEST_UNKNOWN", message: "no such tag" } },
    ] as const;
    expect(printRefreshed({ images })).toBe(`ghcr.io/acme/app:1  same  sha256:aaaaaaaaaaaa
ghcr.io/acme/app:1  moved  sha256:aaaaaaaaaaaa  →  sha256:bbbbbbbbbbbb
ghcr.io/acme/app:1  new  sha256:bbbbbbbbbbbb
ghcr.io/acme/app:1  gone
  MANIFEST_UNKNOWN: no such tag
`);
  });
});

it.each([
  [undefined, "-"],
  ["2026-01-01T10:00:05Z", "0 s ago"],
  ["2026-01-01T09:58:30Z", "90 s ago"],
  ["2026-01-01T09:58:00Z", "2 min ago"],
  ["2025-12-31T10:00:00Z", "24 h ago"],
  ["2025-12-20T10:00:00Z", "12 d ago"],
])("%s is %s", (time, text) => expect(ago(time, NOW)).toBe(text));
