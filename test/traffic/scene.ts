// Two registries as they were when a recording began, before them a front end that has never been asked.
import type { Image } from "../e2e/image.ts";
import { status } from "../faults/behaviours.ts";
import type { HeldManifest } from "../faults/content.ts";
import { type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import { Front } from "../front.ts";
import { APP, MULTI, MULTI_INDEX, NOTES } from "./content.ts";
import type { Recording } from "./recording.ts";
import { type Disturbance, GUARDED, OPEN, Replay, USERS } from "./replay.ts";

export interface Scene {
  readonly replay: Replay;
  readonly upstreams: readonly FaultUpstream[];
}

export const sceneOf = async (recording: Recording, disturbance?: Disturbance): Promise<Scene> => {
  const open = await faultUpstream();
  const owners = { [`alice/notes-${recording.client}`]: "alice", "alice/held": "alice" };
  const guarded = await faultUpstream({ auth: { kind: "bearer", token: "jwt", users: USERS, owners } });
  fill(open, "acme/app", [APP], APP.manifest.digest);
  fill(guarded, "acme/public/app", [APP], APP.manifest.digest);
  fill(guarded, "alice/held", [NOTES.image], NOTES.image.manifest.digest);
  fill(open, "acme/multi", MULTI, MULTI_INDEX.digest, [MULTI_INDEX]);
  open.fault(/\/referrers\//, status(404)); // the registry that was recorded knows no referrers
  const sites = { [OPEN]: { upstream: open.url.origin }, [GUARDED]: { upstream: guarded.url.origin } };
  const front = new Front(open.url.origin, {}, sites);
  await front.start();
  return { replay: new Replay(front, guarded, recording, disturbance), upstreams: [open, guarded] };
};

const fill = (
  { content }: FaultUpstream,
  repo: string,
  images: readonly Image[],
  top: string,
  above: readonly HeldManifest[] = [],
): void => {
  for (const { bytes } of images.flatMap(({ blobs }) => blobs)) content.putBlob(repo, bytes);
  const manifests = [...images.map(({ manifest, mediaType }) => ({ ...manifest, mediaType })), ...above];
  for (const { bytes, mediaType } of manifests) content.putManifest(repo, undefined, bytes, mediaType);
  content.moveTag(repo, "v1", top);
};
