// undici's agent and its `request` alone: the whole of undici (fetch, caches, mocks, WebSocket) is 3 MB more that nothing here uses.
declare module "undici/lib/dispatcher/agent.js" {
  import type { Dispatcher, Agent as Whole } from "undici";

  /** Its own methods; `request` and the like are put on it by the part that is not loaded. */
  const Agent: new (options: Whole.Options) => Pick<Dispatcher, "dispatch"> & { destroy(): Promise<void> };
  export default Agent;
}

declare module "undici/lib/api/api-request.js" {
  import type { Dispatcher } from "undici";

  const request: (this: Pick<Dispatcher, "dispatch">, options: Dispatcher.RequestOptions) => Promise<Dispatcher.ResponseData>;
  export default request;
}

declare module "undici/lib/core/connect.js" {
  import type { buildConnector } from "undici";

  const build: (options: buildConnector.BuildOptions) => buildConnector.connector;
  export default build;
}
