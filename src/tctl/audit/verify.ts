/**
 * `tctl audit verify`: is the audit log as Auth wrote it? Reads the files themselves, for an Auth Service that somebody has
 * taken over could say anything; so it runs on the Auth host, or on a copy of the log.
 */
import { readFile } from 'node:fs/promises';
import { publicKeyText, type Sealed } from '../../audit/seal.js';
import { sealedIn, type Verdict, verifyLog } from '../../audit/verify.js';
import type { Env } from '../../cli/env.js';
import { printJson, printLine } from '../../cli/output.js';
import { printableLine } from '../../cli/printable.js';
import { messageOf, nodeCodeOf, TeleportError } from '../../errors.js';
import { readPrivateKey, readPublicKey } from '../../pki/keys.js';
import { type AdminArgs, localAuditPlace } from '../connect.js';

export interface AuditVerifyArgs extends AdminArgs {
  dir?: string | undefined;
  key?: string | undefined;
  checkpoints?: string | undefined;
  format: 'text' | 'json';
}

export async function run(env: Env, args: AuditVerifyArgs): Promise<number> {
  const place = args.dir ? undefined : await localAuditPlace(args);
  const keyFile = args.key ?? place?.keyFile;
  const key = keyFile === undefined ? undefined : keyOf(await read(keyFile), keyFile);
  // Before the log, which grows meanwhile.
  const heads = place ? sealsIn(await read(place.headFile, true)).seals : [];
  const named = args.checkpoints === undefined ? undefined : sealsIn(await read(args.checkpoints));
  if (named?.seals.length === 0) {
    throw new TeleportError('BadParameter', `${args.checkpoints} has no checkpoint in it`, {
      hint: 'Make such a file with "tctl audit export --checkpoints".',
    });
  }
  const kept = [...heads, ...(named?.seals ?? [])];
  const dir = args.dir ?? place!.logFolder;
  const verdict = await verifyLog({ dir, key, checkpoints: kept }).catch((error: unknown) => {
    if (nodeCodeOf(error) === undefined) throw error;
    throw new TeleportError('NotFound', `cannot read the audit log in ${dir}: ${messageOf(error)}`, { cause: error });
  });
  const signer = key && publicKeyText(key);
  const unreadable = named?.unreadable ?? 0;
  const isEndKnown = kept.length > 0;
  if (args.format === 'json') printJson(env, { ...verdict, unreadable, public_key: signer ?? null });
  else {
    if (unreadable > 0)
      printLine(env, `Lines of ${args.checkpoints} that are not checkpoints, and were not compared: ${unreadable}.`);
    sayIn(env, verdict, signer, isEndKnown);
  }
  return verdict.problems.length > 0 ? 1 : 0;
}

function sayIn(env: Env, verdict: Verdict, signer: string | undefined, isEndKnown: boolean): void {
  const { problems, records, files, checkpoints, sessions, first, last, unsigned, unchained, incomparable } = verdict;
  for (const { file, line, what } of problems) {
    printLine(env, printableLine(`${file}${line > 0 ? `:${line}` : ''}: ${what}`));
  }
  const span = records > 0 ? ` (${first} to ${last})` : '';
  printLine(
    env,
    `${records} records${span} in ${files} files, ${checkpoints} checkpoints, ${sessions} sessions with a chain.`,
  );
  if (unchained > 0)
    printLine(env, `${unchained} records at the start have no chain: an older version wrote them, or somebody else.`);
  for (const { first, last } of verdict.unsignedAtStart)
    printLine(
      env,
      `Not signed when Auth ended without order, and so perhaps written by whoever could edit the files then: records ${first} to ${last}.`,
    );
  if (incomparable > 0)
    printLine(env, `${incomparable} of the checkpoints kept elsewhere are of days that were deleted: not compared.`);
  if (problems.length > 0) printLine(env, `NOT as it was written: ${problems.length} places, the first one above.`);
  else printLine(env, 'As it was written.');
  if (!isEndKnown) {
    printLine(
      env,
      `Whether more stood behind record ${last} is not known: --checkpoints=DATA_DIR/audit.head would say it.`,
    );
  }
  if (signer === undefined) {
    printLine(
      env,
      'Signatures were not looked at: name the key with --key. Whoever can edit the files can make the chain anew.',
    );
    return;
  }
  printLine(env, `Signed with the key ${signer}.`);
  if (unsigned > 0)
    printLine(env, `The last ${unsigned} records are not signed yet: whoever can edit the files could change them.`);
  printLine(
    env,
    'This holds against whoever can edit the files of the log. It does not hold against root on the Auth host, nor',
  );
  printLine(env, 'against whoever has the key: compare with checkpoints that are kept elsewhere (--checkpoints).');
}

function keyOf(pem: string, file: string) {
  try {
    const key = pem.includes('PRIVATE KEY') ? readPrivateKey(pem) : readPublicKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // What the parser says may quote the file, which holds a key.
  }
  throw new TeleportError('BadParameter', `${file} is not an Ed25519 key in PEM`);
}

function sealsIn(text: string): { seals: Sealed[]; unreadable: number } {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const seals = lines.map(sealedIn).filter((one) => one !== undefined);
  return { seals, unreadable: lines.length - seals.length };
}

async function read(file: string, mayBeAbsent = false): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (mayBeAbsent && nodeCodeOf(cause) === 'ENOENT') return '';
    throw new TeleportError('NotFound', `cannot read ${file}: ${messageOf(cause)}`, {
      cause,
      hint: 'Run it on the Auth host as the user of the Auth Service, or name a copy with --dir and --key.',
    });
  }
}
