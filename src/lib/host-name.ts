/** Lower case, without the trailing dot (RFC 4343; RFC 6066 §3 has SNI without it, clients send it all the same). */
export const plainHost = (name: string): string => {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
};

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Whether a name in plain form is one that a host can have (RFC 1123 2.1). */
export const isHost = (name: string): boolean => name.length <= 253 && name.split(".").every((label) => LABEL.test(label));
