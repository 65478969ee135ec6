// The admin listener's requests: admitted, found in the table of routes, parsed, answered as JSON. Nothing secret is logged or answered.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "../lib/log.ts";
import { readJson } from "./body.ts";
import type { Content } from "./content.ts";
import { ContentRoute, isContent } from "./content-route.ts";
import { AdminError, asAdminError } from "./error.ts";
import { admit, type Guard } from "./guard.ts";
import { LongAnswer } from "./long-answer.ts";
import type { Call, OperationName, Operations } from "./operations.ts";
import { ROUTES, type Route } from "./routes.ts";
import type { UnderWay } from "./under-way.ts";

export interface ApiParts {
  readonly operations: Operations;
  readonly content: Content;
  readonly underWay: UnderWay;
  readonly guard: Guard;
  /** As text, for whoever accepts that. */
  readonly metrics: (accept: string | undefined) => Promise<{ readonly type: string; readonly body: string }>;
  readonly version: string;
  readonly log: Logger;
}

export interface ApiRequest {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** Parsed `Host`, without port. */
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly client: string;
}

export interface Api {
  /** Never rejects: every request is answered or cut. */
  readonly handle: (request: ApiRequest) => Promise<void>;
  /** Ends the long work. */
  close(): void;
}

type Operation = (input: unknown, call: Call) => Promise<unknown>;

/** Where Prometheus looks unless it is told otherwise. */
const METRICS = "/metrics";

export const adminApi = ({ operations, content, underWay, guard, metrics, version, log }: ApiParts): Api => {
  const contents = new ContentRoute(content);
  const run = (name: OperationName) => operations[name].bind(operations) as Operation;

  const answer = async (request: ApiRequest): Promise<void> => {
    const { req, res, host, method } = request;
    admit(guard, host, req.headers);
    res.setHeader("layover-version", version);
    if (isContent(request.path)) return contents.answer(request, goneOf(res));
    if (request.path === METRICS) {
      refuseOthers(request, "GET");
      const { type, body } = await metrics(req.headers.accept);
      return send(res, 200, type, body);
    }
    const name = nameOf(request.path);
    const route: Route = ROUTES[name];
    refuseOthers(request, route.method);
    const given = method === "GET" ? fieldsOf(request.query) : await readJson(req);
    // with it comes zod, 6 MB that a server which nobody asks anything need not hold
    const { parseInput } = await import("./inputs.ts");
    const input = parseInput(name, given);
    const call: Call = { signal: goneOf(res), progress: () => undefined };
    if (route.isLong === undefined) return sendJson(res, 200, await run(name)(input, call));
    const long = new LongAnswer(res);
    try {
      const told = { ...call, progress: long.progress.bind(long) };
      const work = (inner: Call) => run(name)(input, inner);
      long.end({ result: await (route.isShared ? underWay.beside(told, work) : underWay.run(name, told, work)) });
    } catch (error) {
      if (!res.headersSent) throw error;
      long.end({ error: told(error, log) });
    } finally {
      long.close();
    }
  };

  return {
    async handle(request) {
      logRequest(log, request);
      try {
        await answer(request);
      } catch (error) {
        fail(request, told(error, log));
      }
    },
    close: () => underWay.close(),
  };
};

const nameOf = (path: string): OperationName => {
  const [name] = Object.entries(ROUTES).find(([, route]) => route.path === path) ?? [];
  if (name === undefined) throw new AdminError("NO_SUCH_PATH", `there is no ${path.slice(0, 200)} here`);
  return name as OperationName;
};

const refuseOthers = ({ res, path, method }: ApiRequest, taken: Route["method"]): void => {
  if (method === taken) return;
  res.setHeader("allow", taken);
  throw new AdminError("METHOD_NOT_ALLOWED", `${path} takes ${taken} only`);
};

const fieldsOf = (query: URLSearchParams): Record<string, string> => {
  const names = [...query.keys()];
  if (new Set(names).size < names.length) throw new AdminError("INVALID", "a parameter is given twice");
  return Object.fromEntries(query);
};

const goneOf = (res: ServerResponse): AbortSignal => {
  const gone = new AbortController();
  const leave = () => gone.abort(new AdminError("UNAVAILABLE", "the client has gone"));
  if (res.closed) leave();
  else res.once("close", leave);
  return gone.signal;
};

/** What a client is told; of what is a fault of ours, the log has the whole. */
const told = (error: unknown, log: Logger): { code: string; message: string } => {
  const known = asAdminError(error);
  if (known.code === "INTERNAL")
    log.error({ err: error instanceof Error ? error.stack : String(error) }, "admin: internal error");
  return { code: known.code, message: known.message };
};

const fail = ({ req, res }: ApiRequest, { code, message }: { code: string; message: string }): void => {
  if (res.headersSent) return void res.destroy();
  // what is left of a body is not waited for
  if (!req.complete) res.setHeader("connection", "close");
  if (code === "UNAUTHORIZED") res.setHeader("www-authenticate", 'Bearer realm="layover"');
  sendJson(res, new AdminError(code as AdminError["code"], message).status, { error: { code, message } });
};

const sendJson = (res: ServerResponse, status: number, value: unknown): void =>
  send(res, status, "application/json", `${JSON.stringify(value)}\n`);

const send = (res: ServerResponse, status: number, type: string, body: string): void => {
  res
    .writeHead(status, {
      "content-type": type,
      "content-length": Buffer.byteLength(body),
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    })
    .end(body);
};

/** Path, but no query: it has what somebody is interested in. */
const logRequest = (log: Logger, { res, method, path, client }: ApiRequest): void => {
  const began = performance.now();
  res.once("close", () => {
    const status = res.headersSent ? res.statusCode : 0;
    const line = {
      method,
      path: path.slice(0, 200),
      status,
      whole: res.writableEnded,
      ms: Math.round(performance.now() - began),
      client,
    };
    // what is asked every few seconds is worth a line only where it fails
    const level = path === METRICS ? "debug" : "info";
    log[status >= 400 ? "warn" : level](line, "admin");
  });
};
