/** `tctl status`: cluster, version, CA pins, authorities. Source: cli.md 5, certificates.md 1.6. */
import { authorityKeys } from '../api/authorities.js';
import type { Rotation } from '../api/gen/types_pb.js';
import { timestampToDate } from '../api/time.js';
import type { Env } from '../cli/env.js';
import { printLine, printTable } from '../cli/output.js';
import { msOfNanos } from '../duration.js';
import { isTeleportError } from '../errors.js';
import { algorithmName, readPublicKey } from '../pki/keys.js';
import { readAuthorizedKey } from '../pki/ssh/certificate.js';
import { publicKeyOf, spkiPin } from '../pki/x509.js';
import { type AdminArgs, connectAdmin } from './connect.js';
import { AUTHORITY_TYPES } from './flags.js';

const PUBLIC_KEY = { ssh: readAuthorizedKey, jwt: readPublicKey, tls: publicKeyOf };
const STORAGE = ['software', 'PKCS#11 HSM', 'GCP KMS', 'AWS KMS'];

export async function run(env: Env, args: AdminArgs): Promise<void> {
  await using client = await connectAdmin(env, args);
  const [ping, ...lists] = await Promise.all([
    client.auth.ping({}),
    ...AUTHORITY_TYPES.map((type) =>
      client.trust.getCertAuthorities({ type }).catch((error: unknown) => {
        // A server without this kind of authority says so; its row is left out.
        if (isTeleportError(error, 'BadParameter') || isTeleportError(error, 'NotImplemented')) return undefined;
        throw error;
      }),
    ),
  ]);
  const pins: string[] = [];
  const rows: string[][] = [];
  const all = lists.flatMap((list) => list?.certAuthoritiesV2 ?? []);
  // Not those of leafs and roots: whoever takes a pin from here believes its owner.
  for (const authority of all.filter(({ spec }) => spec?.clusterName === ping.clusterName)) {
    const spec = authority.spec!;
    const keys = authorityKeys(authority).map(({ kind, status, text, storage }) => {
      if (kind === 'tls' && spec.type === 'host') pins.push(spkiPin(text));
      return [kind.toUpperCase(), status, algorithmName(PUBLIC_KEY[kind](text)), STORAGE[storage] ?? 'unknown'];
    });
    const rotation = rotationText(spec.rotation);
    keys.forEach((key, i) => {
      rows.push([i === 0 ? spec.type : '', i === 0 ? rotation : '', ...key]);
    });
    if (keys.length === 0) rows.push([spec.type, rotation, '', '', 'no keys found for authority', '']);
  }
  const summary = [
    ['Cluster:', ping.clusterName],
    ['Version:', ping.serverVersion],
    ...(pins.length > 0 ? pins : ['']).map((pin, i) => [i === 0 ? 'CA pins:' : '', pin]),
  ];
  await printTable(env, { rows: summary });
  printLine(env);
  const titles = ['authority', 'rotation', 'protocol', 'status', 'algorithm', 'storage'];
  await printTable(env, { titles, rows, cut: ['rotation', 'storage', 'algorithm'] });
}

function rotationText(rotation: Rotation | undefined): string {
  if (rotation?.state === 'in_progress') {
    const { mode, phase, gracePeriod } = rotation;
    if (mode === 'manual') return `in progress (mode: manual, phase: ${phase})`;
    const started = timestampToDate(rotation.started) ?? new Date(0);
    const ending = new Date(started.getTime() + msOfNanos(gracePeriod));
    return `in progress (mode: automatic, phase: ${phase}, started: ${when(started)}, ending: ${when(ending)})`;
  }
  const last = timestampToDate(rotation?.lastRotated);
  return last && last.getTime() > 0 ? `standby (last rotated: ${when(last)})` : 'standby (never rotated)';
}

/** `Nov 21 2026 01:50:49 UTC`. */
function when(at: Date): string {
  const [, day, month, year, time] = /^\w+, (\d+) (\w+) (\d+) ([\d:]+) GMT$/.exec(at.toUTCString())!;
  return `${month} ${day} ${year} ${time} UTC`;
}
