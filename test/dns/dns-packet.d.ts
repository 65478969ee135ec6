// What the tests use of dns-packet, which brings no types.
declare module "dns-packet" {
  export interface Answer {
    name: string;
    type: string;
    ttl?: number;
    class?: string;
    data?: unknown;
    udpPayloadSize?: number;
    flag_do?: boolean;
    extendedRcode?: number;
    ednsVersion?: number;
    options?: { code: number; data?: Buffer }[];
  }
  export interface Decoded {
    id: number;
    type: "query" | "response";
    rcode: string;
    opcode: string;
    flag_aa: boolean;
    flag_tc: boolean;
    flag_rd: boolean;
    flag_ra: boolean;
    flag_ad: boolean;
    flag_cd: boolean;
    questions: { name: string; type: string; class: string }[];
    answers: Answer[];
    authorities: Answer[];
    additionals: Answer[];
  }
  export function decode(message: Buffer): Decoded;
  export function encode(packet: object): Buffer;
}
