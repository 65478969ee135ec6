// Run within Layover's container: what its first process may do there, and what the image carries. Prints one JSON object.
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const STATE = "/var/lib/layover";
const status = readFileSync("/proc/1/status", "utf8");
const field = (name: string): string | undefined => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1];

/** "written", or why not. */
const write = (file: string): string => {
  try {
    writeFileSync(file, "");
    rmSync(file);
    return "written";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
};

const states = readdirSync("/proc")
  .filter((name) => /^\d+$/.test(name))
  .map((pid) => {
    try {
      return /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
    } catch {
      return undefined; // it has gone meanwhile
    }
  });

console.log(
  JSON.stringify({
    uid: field("Uid"),
    capabilities: field("CapBnd"),
    noNewPrivileges: field("NoNewPrivs"),
    zombies: states.filter((state) => state === "Z").length,
    root: ["/file", "/opt/layover/src/file", `${STATE}/file`].map(write),
    volumes: ["data", "keys", "certs"].map((name) => write(`${STATE}/${name}/file`)),
    public: readdirSync(`${STATE}/certs`),
    installed: readdirSync("/opt/layover").toSorted(),
    packages: readdirSync("/opt/layover/node_modules").filter((name) => !name.startsWith(".")),
  }),
);
