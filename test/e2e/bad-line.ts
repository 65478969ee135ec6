// The line between Layover and a registry, which can be torn, held up and made narrow while bytes are on it: toxiproxy.
import { listens } from "./internet.ts";
import { Part } from "./part.ts";

const CONTROL = 8474;

export class BadLine {
  readonly #part: Part;
  readonly #control: string;

  private constructor(part: Part, control: string) {
    this.#part = part;
    this.#control = control;
  }

  /** What comes to port 443 of `address` is given on to that of `to`. */
  static async start(address: string, to: string, log: string): Promise<BadLine> {
    const argv = [`${process.env["LAYOVER_LAB"]}/bin/toxiproxy`, "-host", address, "-port", String(CONTROL)];
    const part = await Part.start("toxiproxy", argv, log, () => listens(address, CONTROL));
    const line = new BadLine(part, `http://${address}:${CONTROL}`);
    await line.#tell("POST", "/proxies", { name: "line", listen: `${address}:443`, upstream: `${to}:443`, enabled: true });
    return line;
  }

  /** Every connection is cut after so many bytes from the registry. */
  cutAfter(bytes: number): Promise<void> {
    return this.#spoil("limit_data", { bytes });
  }

  /** Nothing comes any more, and no connection ends. */
  stall(): Promise<void> {
    return this.#spoil("timeout", { timeout: 0 });
  }

  /** Bytes a second, of each connection. */
  narrow(rate: number): Promise<void> {
    return this.#spoil("bandwidth", { rate: Math.floor(rate / 1000) });
  }

  /** As good a line as any. */
  async mend(): Promise<void> {
    await this.#tell("POST", "/reset");
  }

  async stop(): Promise<void> {
    await this.#part.stop();
  }

  async #spoil(type: string, attributes: Record<string, number>): Promise<void> {
    await this.#tell("POST", "/proxies/line/toxics", { name: type, type, stream: "downstream", toxicity: 1, attributes });
  }

  async #tell(method: string, path: string, body?: object): Promise<void> {
    const response = await fetch(this.#control + path, { method, ...(body && { body: JSON.stringify(body) }) });
    if (!response.ok) throw new Error(`toxiproxy: ${response.status} ${await response.text()}`);
    await response.body?.cancel();
  }
}
