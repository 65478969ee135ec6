/** For sockets that are only ever given addresses: without it dgram asks dns.lookup for each message, which answers a tick later. */
export const literalLookup = (
  address: string,
  family: number,
  done: (error: null, address: string, family: number) => void,
): void => done(null, address, family);
