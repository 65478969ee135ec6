// The direction of imports is part of the design: each layer knows only those below it.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const SRC = resolve(import.meta.dirname, "../src");

/** What each folder may import besides itself. Files of src itself are the composition roots and may import all but each other's callers. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  lib: [],
  oci: ["lib"],
  dns: ["lib"],
  tls: ["lib"],
  store: ["lib", "oci"],
  upstream: ["lib", "oci", "sites"],
  registry: ["lib", "oci", "sites", "mirrors", "store"],
  mirror: ["lib", "oci", "sites", "mirrors", "store", "registry"],
  config: ["lib", "oci", "sites", "mirrors"],
  admin: ["lib", "oci", "sites", "mirrors", "store", "registry", "mirror"],
  http: ["lib", "oci", "sites", "store", "registry", "admin"],
  bundle: ["lib", "oci", "admin"],
  sites: ["lib"],
  mirrors: ["lib", "oci"],
  setup: ["lib", "config"],
  regsync: ["lib", "oci", "sites", "mirrors", "config"],
  app: [
    ...["lib", "oci", "tls", "store", "registry", "config", "admin", "http", "sites", "mirrors"],
    ...["app-admin", "app-ca", "app-mirror", "app-setup", "app-sites", "app-store", "app-tunnels"],
  ],
  "app-admin": ["lib", "oci", "store", "registry", "mirror", "config", "admin", "sites", "app-sites", "app-store"],
  "app-alone": ["lib", "oci", "store", "registry", "config", "admin", "sites", "mirrors", "app-store"],
  "app-below": ["lib", "oci", "registry", "sites"],
  "app-ca": ["lib", "tls", "config", "sites"],
  "app-dns": ["lib", "dns", "config", "sites"],
  "app-mirror": ["oci", "mirror", "mirrors", "config", "admin", "sites", "app-notify", "app-sites", "registry"],
  "app-names": ["lib", "dns", "upstream", "config"],
  "app-notify": ["lib", "mirror", "mirrors", "upstream", "config", "app-names"],
  "app-setup": ["lib", "config", "http", "setup"],
  "app-sites": [
    ...["lib", "oci", "store", "upstream", "registry", "mirror", "config", "http", "sites", "mirrors"],
    ...["app-below", "app-local", "app-names", "app-reading", "app-source", "app-subjects", "app-upstream"],
  ],
  "app-local": ["lib", "oci", "store", "registry", "mirror", "http", "sites", "mirrors"],
  "app-reading": ["lib", "oci", "store", "upstream", "registry", "mirror", "sites", "app-upstream"],
  "app-source": ["oci", "registry", "mirror"],
  "app-subjects": ["lib", "oci", "store", "registry", "sites", "app-upstream"],
  "app-store": ["lib", "oci", "store", "admin", "sites", "mirrors"],
  "app-tunnels": ["lib", "tls", "upstream", "config", "http", "app-names"],
  "app-upstream": ["lib", "oci", "upstream", "registry", "sites"],
};
/** `registry` and what is above it know the seams of the stores, never a store. */
const STORE_SEAMS = [
  "store/blobs.ts",
  "store/facts.ts",
  "store/holdings.ts",
  "store/hosting.ts",
  "store/inventory.ts",
  "store/mirroring.ts",
];
const KNOWS_STORES = new Set(["store", "app", "app-admin", "app-alone", "app-store", "cli"]);

const sources = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
const layerOf = (file: string) => (file.includes("/") ? file.slice(0, file.indexOf("/")) : file.replace(".ts", ""));
const importsOf = (file: string) =>
  [...readFileSync(join(SRC, file), "utf8").matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)]
    .map((match) => relative(SRC, resolve(SRC, dirname(file), match[1]!)))
    .filter((target) => target !== "../package.json");

describe("imports", () => {
  it("finds the sources", () => expect(sources.length).toBeGreaterThan(30));

  it.each(sources)("%s imports only what is below it", (file) => {
    const layer = layerOf(file);
    if (layer === "cli" || layer === "main") return;
    const allowed = MAY_IMPORT[layer];
    expect(allowed, `a new layer "${layer}" needs a place in the order`).toBeDefined();
    const wrong = importsOf(file).filter((target) => layerOf(target) !== layer && !allowed!.includes(layerOf(target)));
    expect(wrong).toEqual([]);
  });

  it.each(sources)("%s knows stores by their seams", (file) => {
    if (KNOWS_STORES.has(layerOf(file))) return;
    const wrong = importsOf(file).filter((target) => layerOf(target) === "store" && !STORE_SEAMS.includes(target));
    expect(wrong).toEqual([]);
  });
});
