import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseImageConfig } from "../../src/oci/image-config.ts";

const parse = (document: unknown) => parseImageConfig(Buffer.from(JSON.stringify(document)));

describe("an image's configuration", () => {
  it("is what it says, in words", () => {
    const config = {
      ...{ User: "app", WorkingDir: "/srv", Entrypoint: ["sh", "-c"], Cmd: "run", Env: ["A=b=c", "EMPTY=", "BARE"] },
      ...{ Labels: { l: "1" }, ExposedPorts: { "80/tcp": {} }, Volumes: { "/data": {} } },
    };
    expect(parse({ os: "linux", architecture: "arm", variant: "v7", created: "2025-01-01T00:00:00Z", config })).toEqual({
      platform: "linux/arm/v7",
      created: "2025-01-01T00:00:00Z",
      user: "app",
      workdir: "/srv",
      entrypoint: '["sh","-c"]',
      cmd: "run",
      env: new Map([
        ["A", "b=c"],
        ["EMPTY", ""],
        ["BARE", ""],
      ]),
      labels: new Map([["l", "1"]]),
      ports: new Map([["80/tcp", ""]]),
      volumes: new Map([["/data", ""]]),
    });
  });

  it("moves no cursor, and may be anything", () => {
    expect(parse({ config: { User: "\u001b[2Jroot\u202e", Env: [7, "A=\n"], Labels: ["x"], Cmd: {} } })).toMatchObject({
      user: "?[2Jroot?",
      env: new Map([["A", "?"]]),
      labels: new Map(),
      cmd: undefined,
    });
    fc.assert(fc.property(fc.jsonValue(), (config) => void parse({ config, os: config, created: config })));
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void parseImageConfig(bytes)));
  });
});
