/** The ASN.1 part of node-forge alone: the whole package costs three times as much at start. */
declare module 'node-forge/lib/asn1.js' {
  const asn1: typeof import('node-forge').asn1;
  export default asn1;
}
