// For DNS without a front end of its own: whether the one elsewhere is well.
import { get } from "node:http";
import type { Config } from "../config/config.ts";
import { formatAddress } from "../lib/listen.ts";
import type { Logger } from "../lib/log.ts";

const WATCH_EVERY = 1_000;

/** Asks `/readyz` where hijacked names lead to, or on the HTTP door's own address. */
export const watchReady = (config: Config, log: Logger): { readonly well: boolean; close(): void } => {
  const door = config.listen.http[0];
  const host = config.answer === "auto" ? door?.host : config.answer[0];
  const url = `http://${formatAddress({ host: host ?? "127.0.0.1", port: door?.port ?? 80 })}/readyz`;
  const state = { well: false };
  const look = () => {
    const question = get(url, { timeout: WATCH_EVERY, agent: false }, (answer) => {
      answer.resume();
      note(answer.statusCode === 200);
    });
    question.on("timeout", () => question.destroy(new Error("no answer in time")));
    question.on("error", () => note(false));
  };
  const note = (well: boolean) => {
    if (well !== state.well) log.warn({ url, well }, "front end");
    state.well = well;
  };
  look();
  const timer = setInterval(look, WATCH_EVERY);
  return {
    get well() {
      return state.well;
    },
    close: () => clearInterval(timer),
  };
};
