/** `tctl create`: resources from a file or standard input, in order, up to the first error. Source: cli.md 6.4. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { AuthClient } from '../api/client.js';
import { toMessage } from '../api/convert.js';
import { shapeOf } from '../api/fields.js';
import { withNote } from '../api/note.js';
import type { Env } from '../cli/env.js';
import { printLine, printWarning } from '../cli/output.js';
import { fileError, isTeleportError, nodeCodeOf, TeleportError } from '../errors.js';
import { wholeBody } from '../net/whole-body.js';
import { masked } from '../redact.js';
import { withDefaults } from '../resources/defaults.js';
import { ORIGIN_LABEL } from '../resources/labels.js';
import type { AnyResource } from '../resources/types.js';
import { checkResource } from '../resources/validate.js';
import { parseResources } from '../resources/yaml.js';
import { createSettings } from './cluster-settings.js';
import { type AdminArgs, connectAdmin } from './connect.js';
import { warnEnded } from './ended.js';
import { checkTarget } from './lock-target.js';
import { stillUnserved, warnUnserved } from './unserved.js';

export interface CreateArgs extends AdminArgs {
  file?: string | undefined;
  force: boolean;
  confirm: boolean;
}

/** Largest input, in bytes; a resource file is a page or two. */
const MAX_INPUT_BYTES = 4 * 1024 * 1024;

export async function run(env: Env, args: CreateArgs): Promise<void> {
  const resources = parseResources(await input(env, args.file), shapeOf);
  await using client = await connectAdmin(env, args);
  for (const resource of resources) printLine(env, await create(env, client, resource, args));
  const databases = resources.filter(({ kind }) => kind === 'db').map(({ metadata }) => metadata.name);
  if (databases.length > 0) warnUnserved(env, await stillUnserved(client, databases).catch(() => []));
}

/** With force it overwrites whatever is there, whichever revision the file has: the file says what shall be. */
async function create(
  env: Env,
  client: AuthClient,
  given: AnyResource,
  { force, confirm }: CreateArgs,
): Promise<string> {
  const { revision: _, ...metadata } = given.metadata;
  const resource = withDefaults({ ...given, metadata } as AnyResource);
  checkResource(resource);
  warnEnded(env, resource);
  const { name } = metadata;
  const notes = withNote((note) => printWarning(env, note));
  switch (resource.kind) {
    case 'role': {
      const role = toMessage('role', resource);
      if (!force && (await isThere(client.auth.getRole({ name })))) throw exists('role', name);
      await client.auth.upsertRoleV2({ role }, notes);
      return `role "${name}" has been created`;
    }
    case 'user': {
      const user = toMessage('user', resource);
      const isKnown = await isThere(client.users.getUser({ name }));
      if (isKnown && !force) throw exists('user', name);
      // Somebody else may have made it in between: with force that does not matter.
      if (force) await client.users.upsertUser({ user }, notes);
      else await unlessThere(client.users.createUser({ user }, notes), 'user', name);
      return `user "${name}" has been ${isKnown ? 'updated' : 'created'}`;
    }
    case 'db': {
      const labels = { ...resource.metadata.labels, [ORIGIN_LABEL]: 'dynamic' };
      const database = toMessage('db', { ...resource, metadata: { ...resource.metadata, labels } });
      try {
        await unlessThere(client.auth.createDatabase(database, notes), 'database', name);
        return `database "${name}" has been created`;
      } catch (error) {
        if (!force || !isTeleportError(error, 'AlreadyExists')) throw error;
        await client.auth.updateDatabase(database, notes);
        return `database "${name}" has been updated`;
      }
    }
    case 'token':
      await client.auth.upsertTokenV2({ token: { case: 'v2', value: toMessage('token', resource) } }, notes);
      return `provision_token "${masked(name)}" has been created`;
    case 'lock': {
      const lock = toMessage('lock', resource);
      const { locks } = await client.auth.getLocks({});
      if (!force && locks.some(({ metadata }) => metadata?.name === name)) throw exists('lock', name);
      const { missing, unknown } = await checkTarget(client, resource.spec.target);
      for (const sentence of [...missing, ...unknown]) printWarning(env, sentence);
      await client.auth.upsertLock(lock, notes);
      return `lock "${name}" has been created`;
    }
    case 'cluster_auth_preference':
    case 'cluster_networking_config':
    case 'session_recording_config':
      return await createSettings(client, resource, { force, confirm, notes });
    case 'trusted_cluster': {
      const isKnown = await isThere(client.auth.getTrustedCluster({ name }));
      if (isKnown && !force) throw exists('trusted cluster', name);
      await client.auth.upsertTrustedCluster(toMessage('trusted_cluster', resource), notes);
      return `trusted cluster "${name}" has been ${isKnown ? 'updated' : 'created'}`;
    }
    default:
      throw new TeleportError('BadParameter', `creating resources of type "${resource.kind}" is not supported`);
  }
}

async function isThere(lookup: Promise<unknown>): Promise<boolean> {
  try {
    await lookup;
    return true;
  } catch (error) {
    if (isTeleportError(error, 'NotFound')) return false;
    throw error;
  }
}

/** A refusal because it is there already, with the way out. */
async function unlessThere(making: Promise<unknown>, what: string, name: string): Promise<void> {
  try {
    await making;
  } catch (error) {
    throw isTeleportError(error, 'AlreadyExists') ? exists(what, name) : error;
  }
}

function exists(what: string, name: string): TeleportError {
  return new TeleportError('AlreadyExists', 'use -f or --force flag to overwrite', {
    cause: new TeleportError('AlreadyExists', `${what} "${name}" already exists`),
  });
}

async function input(env: Env, file: string | undefined): Promise<string> {
  if (file !== undefined) {
    const path = resolve(env.cwd, file);
    try {
      return await readFile(path, 'utf8');
    } catch (cause) {
      if (nodeCodeOf(cause) !== 'ENOENT') throw fileError('read', path, cause);
      throw new TeleportError('NotFound', `lstat ${path}: no such file or directory`, { cause });
    }
  }
  return await wholeBody(env.stdin, MAX_INPUT_BYTES, 'the input');
}
