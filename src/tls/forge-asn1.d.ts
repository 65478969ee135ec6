// node-forge's ASN.1 part alone: it loads in 6 ms, the whole of forge in 40 or more, and nothing else of it is used here.
declare module "node-forge/lib/asn1.js" {
  import type forge from "node-forge";

  const asn1: Omit<typeof forge.asn1, "fromDer"> & {
    fromDer(bytes: string, options: { strict: boolean; decodeBitStrings: boolean }): forge.asn1.Asn1;
  };
  export default asn1;
}
