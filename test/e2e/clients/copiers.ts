// Clients without a daemon that copy between a registry and a folder: skopeo, crane, regctl, oras.
import { readFile } from "node:fs/promises";
import { type Client, digestIn, Place, password, type Start } from "./client.ts";

const NATIVE = process.arch === "arm64" ? "linux/arm64" : "linux/amd64";
const nothing = async (): Promise<void> => {};

/** What an OCI layout says that it holds. */
const heldIn = async (dir: string): Promise<string> => digestIn(await readFile(`${dir}/index.json`, "utf8"));

/** skopeo reads /etc/docker/certs.d. */
export const skopeo: Start = async (dir, network): Promise<Client> => {
  const place = await Place.make(dir, network);
  const registries = place.env["CONTAINERS_REGISTRIES_CONF"]; // which it alone does not look for
  const options = ["--insecure-policy", ...(registries ? ["--registries-conf", registries] : [])];
  const copy = (...args: string[]) => place.must(["skopeo", ...options, "copy", ...args]);
  return {
    async pull(reference) {
      const target = place.fresh();
      await copy(`docker://${reference}`, `oci:${target}:v1`);
      return heldIn(target);
    },
    async push(image, reference) {
      const file = place.fresh();
      const source = await place.layout(image);
      await copy("--preserve-digests", "--digestfile", file, `oci:${source}:v1`, `docker://${reference}`);
      return digestIn(await readFile(file, "utf8"));
    },
    async login(user, host, secret = password(user)) {
      await place.must(["skopeo", "login", "-u", user, "--password-stdin", host], { input: secret });
    },
    async logout(host) {
      await place.must(["skopeo", "logout", host]);
    },
    stop: nothing,
  };
};

/** crane trusts the system's roots alone. */
export const crane: Start = async (dir, network): Promise<Client> => {
  const place = await Place.make(dir, network, "both");
  return {
    async pull(reference) {
      const target = place.fresh();
      await place.must(["crane", "pull", "--format=oci", `--platform=${NATIVE}`, reference, target]);
      return heldIn(target);
    },
    async push(image, reference) {
      return digestIn(await place.must(["crane", "push", await place.layout(image), reference]));
    },
    async login(user, host, secret = password(user)) {
      await place.must(["crane", "auth", "login", host, "-u", user, "--password-stdin"], { input: secret });
    },
    async logout(host) {
      await place.must(["crane", "auth", "logout", host]);
    },
    stop: nothing,
  };
};

/** regctl reads /etc/docker/certs.d. */
export const regctl: Start = async (dir, network): Promise<Client> => {
  const place = await Place.make(dir, network);
  const regctl = (...args: string[]) => place.must(["regctl", ...args]);
  return {
    async pull(reference) {
      const target = place.fresh();
      await regctl("image", "copy", `--platform=${NATIVE}`, reference, `ocidir://${target}:v1`);
      return heldIn(target);
    },
    async push(image, reference) {
      const source = await place.layout(image);
      await regctl("image", "copy", `ocidir://${source}:v1`, reference);
      return heldIn(source);
    },
    async login(user, host, secret = password(user)) {
      await place.must(["regctl", "registry", "login", host, "-u", user, "--pass-stdin"], { input: secret });
    },
    async logout(host) {
      await place.must(["regctl", "registry", "logout", host]);
    },
    async attach(reference, type) {
      const argv = ["regctl", "artifact", "put", `--subject=${reference}`, `--artifact-type=${type}`];
      return digestIn(await place.must([...argv, "--format={{.Manifest.GetDescriptor.Digest}}"], { input: "a note by regctl" }));
    },
    async referrers(reference, type) {
      const filter = type ? [`--filter-artifact-type=${type}`] : [];
      const format = "--format={{range .Descriptors}}{{println .Digest}}{{end}}";
      const lines = await regctl("artifact", "list", reference, format, ...filter);
      return lines.split("\n").filter(Boolean);
    },
    stop: nothing,
  };
};

/** oras trusts the system's roots alone. */
export const oras: Start = async (dir, network): Promise<Client> => {
  const place = await Place.make(dir, network, "both");
  const oras = (...args: string[]) => place.must(["oras", ...args]);
  return {
    async pull(reference) {
      const target = place.fresh();
      await oras("copy", `--platform=${NATIVE}`, "--to-oci-layout", reference, `${target}:v1`);
      return heldIn(target);
    },
    async push(image, reference) {
      const source = await place.layout(image);
      return digestIn(await oras("copy", "--from-oci-layout", `${source}:v1`, reference));
    },
    async login(user, host, secret = password(user)) {
      await place.must(["oras", "login", host, "-u", user, "--password-stdin"], { input: secret });
    },
    async logout(host) {
      await place.must(["oras", "logout", host]);
    },
    async attach(reference, type) {
      return digestIn(
        await oras("attach", `--artifact-type=${type}`, "--format=go-template", "--template={{.digest}}", reference, "roots.pem"),
      );
    },
    async referrers(reference, type) {
      const filter = type ? [`--artifact-type=${type}`] : [];
      const text = await oras("discover", "--format=json", ...filter, reference);
      const answer = JSON.parse(text) as { referrers?: { digest: string }[] };
      return (answer.referrers ?? []).map(({ digest }) => digest);
    },
    stop: nothing,
  };
};
