// `notify:` → who is told of changes and failures.
import type { MirrorWebhook } from "../mirrors.ts";
import type { Files } from "./files.ts";
import type { WebhookSettings } from "./mirror-schema.ts";
import type { KeyPath, Problem } from "./problems.ts";

/** What is wrong is given to `report`; nothing of a URL is repeated there, for many hold a secret. */
export const notifyOf = async (
  all: readonly WebhookSettings[],
  files: Files,
  report: (problem: Problem) => void,
): Promise<MirrorWebhook[]> => {
  const webhooks = all.map(async ({ url, on, secret, secretFile }, i): Promise<MirrorWebhook | undefined> => {
    const path: KeyPath = ["notify", i];
    const parsed = urlOf(url);
    if (parsed === undefined) report({ path: [...path, "url"], text: "expected an http:// or https:// URL" });
    if (on?.length === 0) report({ path: [...path, "on"], text: "expected change or failure: leave it out to mean both" });
    if (secret !== undefined && secretFile !== undefined)
      report({ path: [...path, "secret"], text: "beside `secretFile`: leave out one of the two" });
    // read again with each message; that it can be is told now
    if (secretFile !== undefined) await files.secret(secretFile, [...path, "secretFile"]);
    return (
      parsed && {
        url: parsed,
        on: [...new Set(on ?? (["change", "failure"] as const))],
        secret,
        secretFile: secretFile === undefined ? undefined : files.path(secretFile),
      }
    );
  });
  return (await Promise.all(webhooks)).filter((webhook) => webhook !== undefined);
};

const urlOf = (text: string): URL | undefined => {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) ? url : undefined;
};
