// What a check says: how it is, and how to mend it.

type HostCheck =
  | "dns"
  | "bypass"
  | "resolvers"
  | "ca"
  | "ports"
  | "answer"
  | "upstream"
  | "helper"
  | "disk"
  | "clock"
  | "container"
  | "docker";
type ClientCheck = "layover" | "system" | "door" | "tls" | "trust" | "proxy";

export interface Finding {
  readonly check: HostCheck | ClientCheck;
  readonly status: "ok" | "warn" | "fail";
  readonly text: string;
  readonly mend?: string;
}

type Check = Finding["check"];

export const ok = (check: Check, text: string): Finding => ({ check, status: "ok", text });
export const warn = (check: Check, text: string, mend: string): Finding => ({ check, status: "warn", text, mend });
export const fail = (check: Check, text: string, mend: string): Finding => ({ check, status: "fail", text, mend });

export const reasonOf = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === "ECONNREFUSED" ? "nobody listens there" : message;
};
