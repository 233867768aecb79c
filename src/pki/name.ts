/**
 * X.509 names as Teleport writes them: standard attributes (2.5.4.*) share one multi-valued RDN when they have several
 * values, every value of another attribute gets an RDN of its own. Readers collect by type in whatever order
 * (Teleport 18.3.0, lib/tlsca/ca.go; RFC 5280, 4.1.2.4).
 */
import { TeleportError } from '../errors.js';
import { type DerNode, oid as oidNode, sequence, setOf, text } from './der.js';
import { type DerValue, membersOf, oidText, TAG, textOf } from './der-reader.js';

/** One attribute type with its values; no values means that it is not written. */
export interface NameAttribute {
  oid: string;
  values: readonly string[];
}

/** A name in the order in which it is written. */
export type NameAttributes = readonly NameAttribute[];

/** Attribute types of certificate names. */
export const NAME_OID = {
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  locality: '2.5.4.7',
  streetAddress: '2.5.4.9',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  postalCode: '2.5.4.17',
} as const;

/** The tree of a name. */
export function nameNode(attributes: NameAttributes): DerNode {
  const rdns: DerNode[] = [];
  for (const { oid, values } of attributes) {
    const members = values.map((value) => sequence(oidNode(oid), text(checked(value))));
    if (oid.startsWith('2.5.4.') && members.length > 0) rdns.push(setOf(...members));
    else rdns.push(...members.map((member) => setOf(member)));
  }
  return sequence(...rdns);
}

/**
 * The values of each attribute type, in the order in which they stand.
 *
 * @throws TeleportError `Protocol` when the element is not a name or has text in an unknown encoding
 */
export function readName(name: DerValue): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const rdn of membersOf(name, TAG.sequence)) {
    for (const member of membersOf(rdn, TAG.set)) {
      const [type, value, more] = membersOf(member, TAG.sequence);
      if (more !== undefined) throw new TeleportError('Protocol', 'a name attribute has more than type and value');
      const oid = oidText(type);
      const values = found.get(oid);
      if (values === undefined) found.set(oid, [textOf(value)]);
      else values.push(textOf(value));
    }
  }
  return found;
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/** A NUL or a lone surrogate would be read differently by different programs. */
function checked(value: string): string {
  if (value.includes('\0') || LONE_SURROGATE.test(value)) {
    throw new TeleportError('BadParameter', 'a certificate name cannot hold this text');
  }
  return value;
}
