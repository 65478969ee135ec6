// Who hears of the mirror's syncs put together: the log, the webhooks of `notify:`, and the counts that `/metrics` shows.
import { namesOf } from "./app-names.ts";
import type { Config } from "./config/config.ts";
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./lib/log.ts";
import { doorAddresses, ownAddresses } from "./lib/own-addresses.ts";
import { MirrorCounts } from "./mirror/counts.ts";
import { notices } from "./mirror/notify.ts";
import type { MirrorEvents } from "./mirror/outcome.ts";
import { type Post, Webhook } from "./mirror/webhook.ts";
import type { MirrorWebhook } from "./mirrors.ts";
import { post } from "./upstream/post.ts";
import { UpstreamResolver } from "./upstream/resolver.ts";
import { Transport } from "./upstream/transport.ts";
import { wayOut } from "./upstream/way.ts";

export interface NotifyParts {
  /** Those of the configuration. */
  readonly webhooks: readonly MirrorWebhook[];
  readonly clock: Clock;
  readonly log: Logger;
  /** Our `Via` value. */
  readonly via: string;
  readonly version: string;
}

export interface OpenNotices {
  readonly events: MirrorEvents;
  readonly counts: MirrorCounts;
  /** What there is to tell is still tried, for a few seconds. */
  close(): Promise<void>;
}

type NotifyConfig = Pick<Config, "resolvers" | "splits" | "trust" | "httpProxy" | "listen">;

export const openNotices = (config: NotifyConfig, parts: NotifyParts): OpenNotices => {
  const { clock, log } = parts;
  const counts = new MirrorCounts();
  const posting = parts.webhooks.length === 0 ? undefined : openPost(config, parts);
  const webhooks = parts.webhooks.map((hook) => new Webhook(hook, { post: posting!.post, counts: counts.webhooks, clock, log }));
  const { close, ...events } = notices({
    send: (message) => {
      for (const webhook of webhooks) webhook.send(message);
    },
    ...{ counts, clock, log },
  });
  return {
    events,
    counts,
    async close() {
      close();
      await Promise.all(webhooks.map((webhook) => webhook.close()));
      await posting?.close();
    },
  };
};

interface Posting {
  readonly post: Post;
  close(): Promise<void>;
}

/** What is on this machine is nobody's to reach through a proxy. */
const openPost = (config: NotifyConfig, { clock, log, via, version }: NotifyParts): Posting => {
  const names = namesOf(config, log);
  const resolver = new UpstreamResolver({ names, isOurs: ownAddresses(doorAddresses(config.listen)) });
  const { trust, httpProxy } = config;
  const transportBy = (proxy: URL | undefined) =>
    new Transport({
      ...wayOut({ trust, httpProxy: proxy, clientCertificate: undefined, upstreams: [] }, resolver),
      ...{ via, userAgent: `layover/${version}` },
    });
  const out = transportBy(httpProxy);
  const here = httpProxy === undefined ? out : transportBy(undefined);
  return {
    post: (letter, signal) => post(isHere(letter.url) ? here : out, letter, signal, clock),
    async close() {
      await Promise.all([out.close(), here.close()]);
      names.close();
    },
  };
};

const isHere = ({ hostname }: URL): boolean => hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
