// JSON documents from outside.

/** `undefined`: they are no JSON, or no object. */
export const parseObject = (bytes: Uint8Array): Record<string, unknown> | undefined => {
  try {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
};
