// How long clients keep an answer for a hijacked name, and so how long after a failure they still come to us. Seconds.
export const TTL = 30;
