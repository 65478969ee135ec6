// Tools that copy between registries and folders, and the two that keep images without a daemon.
import { NOTES } from "../../traffic/content.ts";
import { creds, type Place, password } from "../clients/client.ts";
import { stored } from "../clients/daemonless.ts";
import { OPEN } from "../world.ts";
import { type Tool, tool } from "./client.ts";

export const skopeo = tool((place: Place): Tool => {
  const copy = (...args: string[]) => [["skopeo", "--insecure-policy", "copy", ...args]];
  const held = `${place.dir}/held`;
  return {
    command: "skopeo",
    pull: async (reference, user) => copy(...creds("--src-creds", user), `docker://${reference}`, `oci:${held}:v1`),
    push: async ({ image }, reference, user) =>
      copy("--preserve-digests", ...creds("--dest-creds", user), `oci:${await place.layout(image)}:v1`, `docker://${reference}`),
    copy: async (from, to) => copy(`docker://${from}`, `docker://${to}`),
    extras: async ({ index, repository }) => ({
      "pull of an index, every platform": copy("--all", `docker://${index}`, `oci:${place.dir}/all:v1`),
      "list of tags": [["skopeo", "list-tags", `docker://${repository}`]],
    }),
    forget: [["rm", "-rf", held]],
  };
});

const containersStorage = (name: "podman" | "buildah") =>
  tool((place: Place): Tool => {
    const ask = (...args: string[]) => [...stored(name, place.dir), ...args];
    return {
      command: name,
      pull: async (reference, user) => [ask("pull", ...creds("--creds", user), reference)],
      push: async ({ image }, reference, user) => [
        ask("pull", `docker-archive:${await place.archive(image, reference)}`),
        ask("push", ...creds("--creds", user), reference),
      ],
      copy: async (from, to) => [ask("tag", from, to), ask("push", to)],
      forget: [ask("rmi", "-a", "-f")],
    };
  });

export const podman = containersStorage("podman");
export const buildah = containersStorage("buildah");

export const crane = tool(
  (place: Place): Tool => ({
    command: "crane",
    login: async (user, host) => [["crane", "auth", "login", host, "-u", user, "-p", password(user)]],
    pull: async (reference) => [["crane", "pull", "--format=oci", reference, place.fresh()]],
    push: async ({ image }, reference) => [["crane", "push", await place.layout(image), reference]],
    copy: async (from, to) => [["crane", "copy", from, to]],
    extras: async ({ app, repository }) => ({
      "digest of a tag": [["crane", "digest", app]],
      "list of tags": [["crane", "ls", repository]],
    }),
  }),
);

export const regctl = tool((place: Place): Tool => {
  const copy = (...args: string[]) => [["regctl", "image", "copy", ...args]];
  const held = `${place.dir}/held`;
  return {
    command: "regctl",
    login: async (user, host) => [["regctl", "registry", "login", host, "-u", user, "-p", password(user)]],
    pull: async (reference) => copy(reference, `ocidir://${held}:v1`),
    push: async ({ image }, reference) => copy(`ocidir://${await place.layout(image)}:v1`, reference),
    copy: async (from, to) => copy(from, to),
    extras: async ({ app, repository, fresh }) => ({
      "digest of a tag": [["regctl", "image", "digest", app]],
      "list of tags": [["regctl", "tag", "ls", repository]],
      referrers: [["regctl", "artifact", "list", app]],
      "push in chunks": [
        ["regctl", "registry", "set", "--blob-max", "100000", "--blob-chunk", "100000", OPEN],
        ...copy(`ocidir://${await place.layout(NOTES.image)}:v1`, `${fresh}:v1`),
      ],
    }),
    forget: [["rm", "-rf", held]],
  };
});

/** An artifact of one time, not of now. */
const CREATED = "org.opencontainers.image.created=1970-01-01T00:00:01Z";

export const oras = tool((place: Place): Tool => {
  const held = `${place.dir}/held`;
  return {
    command: "oras",
    login: async (user, host) => [["oras", "login", host, "-u", user, "-p", password(user)]],
    pull: async (reference) => [["oras", "cp", reference, "--to-oci-layout", `${held}:v1`]],
    push: async ({ image }, reference) => [["oras", "cp", "--from-oci-layout", `${await place.layout(image)}:v1`, reference]],
    copy: async (from, to) => [["oras", "cp", from, to]],
    extras: async ({ app, repository }) => ({
      "list of tags": [["oras", "repo", "tags", repository]],
      "push of what refers to an image": [
        ["sh", "-c", "echo well >note"],
        ["oras", "attach", "--artifact-type", "application/x.note", "--annotation", CREATED, app, "note:text/plain"],
      ],
      referrers: [["oras", "discover", app]],
    }),
    forget: [["rm", "-rf", held]],
  };
});
