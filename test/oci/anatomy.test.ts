// What people are told of a manifest is the work of whoever made it.
import { expect, it } from "vitest";
import { anatomyOf } from "../../src/oci/anatomy.ts";
import { digestOf } from "../../src/oci/digest.ts";

const digest = digestOf(Buffer.from("a"));

it("has no character that would do something to a terminal, or end a line", () => {
  const nasty = "a\u001b]0;owned\u0007\u009b2J\r\nb\u202e\u0000";
  const manifest = {
    mediaType: nasty,
    manifests: [{ digest, mediaType: nasty, platform: { os: nasty, architecture: "amd64" } }],
  };
  const { mediaType, parts } = anatomyOf(Buffer.from(JSON.stringify(manifest)));
  const said = "a?]0;owned??2J??b??";
  expect(mediaType).toBe(said);
  expect(parts).toEqual([{ role: "manifest", digest, mediaType: said, platform: `${said}/amd64` }]);
});
