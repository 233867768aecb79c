/**
 * `tctl edit kind/name`: the resource as YAML in the person's editor, then written back. The server refuses it when
 * somebody else changed the resource meanwhile. Source: cli.md 6.5.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuthClient } from '../api/client.js';
import { toMessage } from '../api/convert.js';
import { runChild } from '../cli/child.js';
import type { Env } from '../cli/env.js';
import { printLine, yamlText } from '../cli/output.js';
import { messageOf, nodeCodeOf, TeleportError } from '../errors.js';
import { withDefaults } from '../resources/defaults.js';
import { printable } from '../resources/printable.js';
import { parseRef, refText, SINGLETONS } from '../resources/ref.js';
import type { AnyResource } from '../resources/types.js';
import { checkResource } from '../resources/validate.js';
import { parseResources } from '../resources/yaml.js';
import { type AdminArgs, connectAdmin } from './connect.js';
import { fetchResources } from './get.js';

export interface EditArgs extends AdminArgs {
  resource: string;
}

export async function run(env: Env, args: EditArgs): Promise<void> {
  const ref = parseRef(args.resource);
  if (!ref.name || SINGLETONS.has(ref.kind)) {
    throw new TeleportError('BadParameter', 'provide a full resource name to edit, for example:\n$ tctl edit role/dba');
  }
  await using client = await connectAdmin(env, args);
  const [before] = await fetchResources(client, ref, { withSecrets: true });
  if (before === undefined) throw new TeleportError('NotFound', `could not get resource ${refText(ref)}`);
  const after = await edited(env, before);
  if (after === undefined) return printLine(env, 'edit canceled, no changes made');
  printLine(env, await update(client, after));
}

/** The resource as the person left it, or undefined when nothing was changed. */
async function edited(env: Env, before: AnyResource): Promise<AnyResource | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'tctl-edit-'));
  try {
    const file = join(folder, `${before.kind}.yaml`);
    const text = await yamlText(printable(before));
    await writeFile(file, text, { mode: 0o600 });
    await runEditor(env, file);
    const changed = await readFile(file, 'utf8');
    return changed === text ? undefined : sameResource(before, parseResources(changed));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
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
  const { code, signal } = await runChild(env, program, [...args, file]).catch((cause: unknown) => {
    if (nodeCodeOf(cause) === undefined) throw cause;
    throw new TeleportError('NotFound', `could not start editor ${program}: ${messageOf(cause)}`, { cause });
  });
  if (code === 0) return;
  throw new TeleportError(
    'BadParameter',
    `skipping resource update, editor did not complete successfully: ${signal ? `signal: ${signal}` : `exit status ${code}`}`,
  );
}

async function update(client: AuthClient, resource: AnyResource): Promise<string> {
  const { name } = resource.metadata;
  switch (resource.kind) {
    case 'role':
      await client.auth.updateRole({ role: toMessage('role', resource) });
      return `role "${name}" has been updated`;
    case 'user':
      await client.users.updateUser({ user: toMessage('user', resource) });
      return `user "${name}" has been updated`;
    case 'db':
      await client.auth.updateDatabase(toMessage('db', resource));
      return `database "${name}" has been updated`;
    case 'token':
      await client.auth.upsertTokenV2({ token: { case: 'v2', value: toMessage('token', resource) } });
      return `provision_token "${name}" has been updated`;
    case 'lock':
      await client.auth.upsertLock(toMessage('lock', resource));
      return `lock "${name}" has been updated`;
    default:
      throw new TeleportError('BadParameter', `updating resources of type "${resource.kind}" is not supported`);
  }
}
