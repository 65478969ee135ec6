// Clients that do not take every type of manifest get what upstream makes for them, and nobody else does.
import { expect, it } from "vitest";
import { answerWith } from "../faults/answer.ts";
import { status } from "../faults/behaviours.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../faults/content.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { startFront } from "../front.ts";

const PATH = "/v2/acme/app/manifests/v1";
const OLD = { accept: "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json" };

/** As distribution does: who does not take an index gets its image for this kind of machine. */
const world = async () => {
  const upstream = await faultUpstream();
  const { top, manifest } = upstream.content.seed({ repo: "acme/app", tag: "v1", index: true });
  upstream.fault(
    ({ path, headers }) => path === PATH && !(headers.accept ?? "").includes(OCI_INDEX),
    ({ answer }) => {
      const headers = { "content-type": OCI_MANIFEST, "docker-content-digest": manifest.digest };
      Object.assign(answer, answerWith(200, manifest.bytes, headers));
    },
  );
  return { upstream, front: await startFront(upstream), index: top, manifest };
};

it("whoever takes no index gets an image, whatever is held, and leaves it as it is for the others", async () => {
  const { front, index, manifest } = await world();
  for (const round of ["cold", "warm"]) {
    const head = await front.ask(PATH, { method: "HEAD", headers: OLD });
    expect({ round, ...head.headers }).toMatchObject({ "docker-content-digest": manifest.digest, "content-type": OCI_MANIFEST });
    const old = await front.ask(PATH, { headers: OLD });
    expect(old).toMatchObject({ body: manifest.bytes, headers: { "x-cache": "UNCACHED", "content-type": OCI_MANIFEST } });
    expect((await front.ask(PATH, { headers: { accept: OCI_INDEX } })).body).toEqual(index.bytes);
    expect((await front.ask(PATH)).body).toEqual(index.bytes);
  }
});

it("its 404 is theirs, and in an outage they get what there is", async () => {
  const { upstream, front, index } = await world();
  expect((await front.ask(PATH)).status).toBe(200);
  const lift = upstream.fault(({ headers }) => !(headers.accept ?? "").includes(OCI_INDEX), status(404));
  expect((await front.ask(PATH, { headers: OLD })).status).toBe(404);
  lift();
  await upstream.stop();
  expect((await front.ask(PATH, { headers: OLD })).body).toEqual(index.bytes);
});
