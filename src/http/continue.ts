// Clients that wait for `100 Continue` before they send a body (RFC 9110 §10.1.1): whoever reads the body says when. What is answered
// before that is final, and Node closes the connection with it, as nobody knows whether the body comes.
import type { ServerResponse } from "node:http";

const waiting = new WeakSet<ServerResponse>();

/** To be called when such a request comes. */
export const holdBody = (res: ServerResponse): void => void waiting.add(res);

export const awaitsContinue = (res: ServerResponse): boolean => waiting.has(res);

/** The client may send; nothing happens where it does not wait. */
export const letSend = (res: ServerResponse): void => {
  if (waiting.delete(res) && !res.headersSent && !res.destroyed) res.writeContinue();
};
