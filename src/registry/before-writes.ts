// One question before every write to a hosted site, so that what concerns all of them is written once: who may, and what may not be.
import { OciError } from "../oci/error.ts";
import type { Hosted, HostedOperation } from "../oci/hosted.ts";
import type { Reference, Repository } from "../oci/reference.ts";
import type { Context } from "../oci/registry.ts";
import { type Policy, writeRefusal } from "./policy.ts";

interface About {
  readonly repo?: Repository;
  readonly reference?: Reference;
  readonly tag?: Reference;
  readonly tags?: readonly string[];
}

/** Throws what the client is to be told instead. */
type Check = (operation: HostedOperation, about: About, ctx: Context) => void | Promise<void>;

export const beforeWrites = (inner: Hosted, check: Check): Hosted => {
  const checked = <Operation extends HostedOperation>(operation: Operation): Hosted[Operation] => {
    // the same operation of the same interface: its query and answer are of the same types
    const call = async (query: About, ctx: Context): Promise<unknown> => {
      await check(operation, query, ctx);
      return inner[operation](query as never, ctx);
    };
    return call as Hosted[Operation];
  };
  return {
    openUpload: checked("openUpload"),
    uploadStatus: checked("uploadStatus"),
    appendUpload: checked("appendUpload"),
    finishUpload: checked("finishUpload"),
    cancelUpload: checked("cancelUpload"),
    mountBlob: checked("mountBlob"),
    putManifest: checked("putManifest"),
    deleteManifest: checked("deleteManifest"),
    deleteTag: checked("deleteTag"),
    deleteBlob: checked("deleteBlob"),
    listRepositories: checked("listRepositories"),
  };
};

/** What the site's rules deny to everybody. */
export const writesPermitted = (inner: Hosted, policy: Policy): Hosted =>
  beforeWrites(inner, (_operation, { repo, reference, tag, tags }) => {
    const refusal = repo === undefined ? undefined : writeRefusal(policy, { repo, reference: reference ?? tag, tags });
    if (refusal !== undefined) throw refusal;
  });

/** Every write is refused, with the reason. */
export const readOnly = (inner: Hosted, host: string): Hosted =>
  beforeWrites(inner, (operation) => {
    if (operation !== "listRepositories") throw new OciError("UNSUPPORTED", `${host} is read-only here`);
  });
