// Compiles all of src/ into the cache that NODE_COMPILE_CACHE names, in a process that ends with that: whoever compiles a file itself holds the
// compiler for as long as it lives, 10 to 20 MB. Started by layover.mjs.
import { readdirSync } from "node:fs";

const SRC = new URL("../src/", import.meta.url);
/** Those that do something when they are imported: compiled with the rest, but never run, for what stands before them fails. */
const ENTRIES = ["main.ts", "cli/front.ts", "config/reader.ts"];

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter(
  (file) => file.endsWith(".ts") && !file.endsWith(".d.ts"),
);
const urls = (names) => names.map((name) => JSON.stringify(new URL(name, SRC).href));
await Promise.all(files.filter((file) => !ENTRIES.includes(file)).map((file) => import(new URL(file, SRC).href)));
const failing = ['"data:text/javascript,throw 0"', ...urls(ENTRIES)].map((url) => `import ${url};`).join("\n");
await import(`data:text/javascript,${encodeURIComponent(failing)}`).catch((error) => {
  if (error !== 0) throw error;
});
