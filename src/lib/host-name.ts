/** Lower case, without the trailing dot (RFC 4343; RFC 6066 §3 has SNI without it, clients send it all the same). */
export const plainHost = (name: string): string => {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
};
