// `Authorization: Basic`, as everybody here writes it (RFC 7617 §2).

/** The name must hold no colon: where one does, the password begins behind it. */
export const basicCredential = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
