// Who a registry lets in by name and password alone: an htpasswd file, which registries read again when it changes.
import { writeFile } from "node:fs/promises";
import { must } from "./part.ts";
import { USERS } from "./tokens.ts";

/** Whom the test itself is at the registry's plain port. */
const LAB = { name: "lab", password: "the lab's secret" };

export class Htpasswd {
  readonly file: string;
  readonly #lines = new Map<string, string>();

  private constructor(file: string) {
    this.file = file;
  }

  /** With the users of the token server, under the same passwords. */
  static async make(file: string): Promise<Htpasswd> {
    const users = new Htpasswd(file);
    for (const [name, password] of [...Object.entries(USERS), [LAB.name, LAB.password] as const])
      users.#lines.set(name, (await must(["htpasswd", "-nbBC4", name, password])).trim());
    await users.#write();
    return users;
  }

  async drop(user: string): Promise<void> {
    this.#lines.delete(user);
    await this.#write();
  }

  get lab(): string {
    return `Basic ${Buffer.from(`${LAB.name}:${LAB.password}`).toString("base64")}`;
  }

  async #write(): Promise<void> {
    await writeFile(this.file, [...this.#lines.values(), ""].join("\n"));
  }
}
