/**
 * `tctl edit kind/name`: the resource as YAML in the person's editor, then written back, unless somebody else changed it
 * meanwhile. What was typed and could not be written stays in its file. Source: cli.md 6.5.
 */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuthClient } from '../api/client.js';
import { toMessage } from '../api/convert.js';
import { shapeOf } from '../api/fields.js';
import { withNote } from '../api/note.js';
import { runChild } from '../cli/child.js';
import type { Env } from '../cli/env.js';
import { printLine, printWarning, yamlText } from '../cli/output.js';
import { fileError, messageOf, nodeCodeOf, TeleportError } from '../errors.js';
import { safestFirst } from '../folder.js';
import { type AnySettings, isSettings } from '../resources/cluster-settings.js';
import { withDefaults } from '../resources/defaults.js';
import { printable } from '../resources/printable.js';
import { parseRef, type ResourceRef, refText } from '../resources/ref.js';
import type { AnyResource } from '../resources/types.js';
import { checkResource } from '../resources/validate.js';
import { parseResources } from '../resources/yaml.js';
import { shellWord } from '../shell-word.js';
import { refuseConfigured, updateSettings } from './cluster-settings.js';
import { type AdminArgs, connectAdmin } from './connect.js';
import { warnEnded } from './ended.js';
import { fetchResources } from './get.js';

export interface EditArgs extends AdminArgs {
  resource: string;
}

export async function run(env: Env, args: EditArgs): Promise<void> {
  const ref = parseRef(args.resource);
  if (!ref.name && !isSettings(ref.kind)) {
    throw new TeleportError('BadParameter', 'provide a full resource name to edit, for example:\n$ tctl edit role/dba');
  }
  await using client = await connectAdmin(env, args);
  const [before] = await fetchResources(client, ref, { withSecrets: true, whole: true });
  if (before === undefined) throw new TeleportError('NotFound', `could not get resource ${refText(ref)}`);
  if (isSettings(before.kind)) refuseConfigured(before as AnySettings);
  // Whoever can replace the folder chooses what is written.
  const [parent = tmpdir()] = await safestFirst([tmpdir(), '/tmp']);
  const folder = await mkdtemp(join(parent, 'tctl-edit-')).catch((error: unknown) => {
    throw fileError('write', parent, error, { hint: 'Set TMPDIR to a folder that you can write to.' });
  });
  let isKept = false;
  try {
    const file = join(folder, `${before.kind}.yaml`);
    const text = await yamlText(printable(before));
    await writeFile(file, text, { mode: 0o600 });
    await runEditor(env, file);
    const changed = await readFile(file, 'utf8');
    if (changed === text) return printLine(env, 'edit canceled, no changes made');
    isKept = true;
    printLine(env, await written(env, client, ref, before, changed));
    isKept = false;
  } catch (error) {
    if (isKept) printWarning(env, `your text is kept in ${join(folder, `${before.kind}.yaml`)}`);
    throw error;
  } finally {
    if (!isKept) await rm(folder, { recursive: true, force: true });
  }
}

/** Put the edited text in place of the resource as it was when the editor was opened. */
async function written(
  env: Env,
  client: AuthClient,
  ref: ResourceRef,
  before: AnyResource,
  text: string,
): Promise<string> {
  const after = sameResource(before, parseResources(text, shapeOf));
  const { revision } = before.metadata;
  // The server compares revisions of users and roles only, as Teleport's does.
  const [now] = await fetchResources(client, ref, { withSecrets: true, whole: true });
  if (now?.metadata.revision !== revision) {
    throw new TeleportError('CompareFailed', `${refText(ref)} has changed in the meantime`, {
      hint: `See what it is now with "tctl get ${shellWord(refText(ref))}", then edit it again.`,
    });
  }
  warnEnded(env, after);
  const metadata = { ...after.metadata, ...(revision ? { revision } : {}) };
  return await update(client, { ...after, metadata } as AnyResource, (note) => printWarning(env, note));
}

/** @throws BadParameter when the text is no longer exactly this one resource */
export function sameResource(before: AnyResource, found: AnyResource[]): AnyResource {
  const isSame = (one: AnyResource) => one.kind === before.kind && one.metadata.name === before.metadata.name;
  const other = found.find((one) => !isSame(one)) ?? found[1];
  if (other !== undefined) {
    throw new TeleportError(
      'BadParameter',
      `resource ${other.kind}/${other.metadata.name} was added or removed, renaming resources is not supported with tctl edit`,
    );
  }
  const resource = withDefaults(found[0]!);
  checkResource(resource);
  return resource;
}

async function runEditor(env: Env, file: string): Promise<void> {
  const command = env.vars.TELEPORT_EDITOR || env.vars.VISUAL || env.vars.EDITOR || 'vi';
  const [program = 'vi', ...args] = command.split(/\s+/).filter((word) => word !== '');
  const { exitCode, signal } = await runChild(env, program, [...args, file]).catch((cause: unknown) => {
    if (nodeCodeOf(cause) === undefined) throw cause;
    throw new TeleportError('NotFound', `could not start editor ${program}: ${messageOf(cause)}`, { cause });
  });
  if (exitCode === 0) return;
  throw new TeleportError(
    'BadParameter',
    `skipping resource update, editor did not complete successfully: ${signal ? `signal: ${signal}` : `exit status ${exitCode}`}`,
  );
}

async function update(client: AuthClient, resource: AnyResource, onNote: (note: string) => void): Promise<string> {
  const { name } = resource.metadata;
  const notes = withNote(onNote);
  switch (resource.kind) {
    case 'role':
      await client.auth.updateRole({ role: toMessage('role', resource) }, notes);
      return `role "${name}" has been updated`;
    case 'user':
      await client.users.updateUser({ user: toMessage('user', resource) }, notes);
      return `user "${name}" has been updated`;
    case 'db':
      await client.auth.updateDatabase(toMessage('db', resource), notes);
      return `database "${name}" has been updated`;
    case 'token':
      await client.auth.upsertTokenV2({ token: { case: 'v2', value: toMessage('token', resource) } }, notes);
      return `provision_token "${name}" has been updated`;
    case 'trusted_cluster':
      await client.auth.upsertTrustedCluster(toMessage('trusted_cluster', resource), notes);
      return `trusted cluster "${name}" has been updated`;
    case 'cluster_auth_preference':
    case 'cluster_networking_config':
    case 'session_recording_config':
      return await updateSettings(client, resource, notes);
    case 'lock':
      await client.auth.upsertLock(toMessage('lock', resource), notes);
      return `lock "${name}" has been updated`;
    default:
      throw new TeleportError('BadParameter', `updating resources of type "${resource.kind}" is not supported`);
  }
}
