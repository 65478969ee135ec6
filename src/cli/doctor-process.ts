// Whether a process is Layover: Node, at work on a script of a package of that name. A command line that merely speaks of it is not enough.
import { readFile, readlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

const SCRIPT = /(^|\/)(layover|layover\.mjs|main\.ts|front\.ts)$/;
/** scripts/layover.mjs, src/main.ts, src/cli/front.ts; and npm's link to the first, which lies apart. */
const DEPTH = 3;

/** Undefined: this user may not see it. */
export const isLayover = async (pid: number, proc = "/proc"): Promise<boolean | undefined> => {
  const home = join(proc, String(pid));
  try {
    const [line, folder] = await Promise.all([readFile(join(home, "cmdline"), "utf8"), readlink(join(home, "cwd"))]);
    const script = line
      .split("\0")
      .slice(1)
      .find((argument) => SCRIPT.test(argument));
    if (script === undefined) return false;
    // as that process sees it, which may be in a container
    return await isOfPackage(join(home, "root"), await followed(join(home, "root"), resolve(folder, script)));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES" ? undefined : false;
  }
};

const followed = async (root: string, script: string): Promise<string> => {
  const target = await readlink(join(root, script)).catch(() => "");
  return target === "" ? script : resolve(dirname(script), target);
};

const isOfPackage = async (root: string, script: string): Promise<boolean> => {
  let folder = dirname(script);
  for (let level = 0; level < DEPTH; level += 1) {
    const text = await readFile(join(root, folder, "package.json"), "utf8").catch(() => undefined);
    if (text !== undefined) return (JSON.parse(text) as { name?: unknown }).name === "layover";
    folder = dirname(folder);
  }
  return false;
};
