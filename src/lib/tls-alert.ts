// Fatal alerts as plain records, which they are before a handshake is done (RFC 8446 5.1, 6): Node can send none of its own choice, and a bare cut
// leaves a client with "EOF".

const fatal = (description: number): Buffer => Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, description]);

/** The host that was asked for is none of ours (RFC 6066 3). */
export const UNRECOGNISED_NAME = fatal(112);
/** No fault of the client's: it may come again. */
export const INTERNAL_ERROR = fatal(80);
