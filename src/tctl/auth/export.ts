/** `tctl auth export`: public halves of the authorities. Source: cli.md 6.9, certificates.md 1.7. */
import { resolve } from 'node:path';
import { fetchAuthorityKeys } from '../../api/authorities.js';
import type { Env } from '../../cli/env.js';
import { print, printLine } from '../../cli/output.js';
import { visible } from '../../cli/printable.js';
import { TeleportError } from '../../errors.js';
import { writeWhole } from '../../profile/whole-file.js';
import { type AdminArgs, connectAdmin } from '../connect.js';

export interface AuthExportArgs extends AdminArgs {
  type?: string | undefined;
  out?: string | undefined;
}

/** `--type` to authority and form. */
const TYPES: Record<string, [authority: string, form: 'ssh-host' | 'ssh-user' | 'tls']> = {
  host: ['host', 'ssh-host'],
  user: ['user', 'ssh-user'],
  openssh: ['openssh', 'ssh-user'],
  'tls-host': ['host', 'tls'],
  'tls-user': ['user', 'tls'],
  db: ['db', 'tls'],
  'db-client': ['db_client', 'tls'],
};

export async function run(env: Env, args: AuthExportArgs): Promise<void> {
  const types = args.type ? [args.type] : ['host', 'user'];
  await using client = await connectAdmin(env, args);
  const { domainName } = await client.auth.getDomainName({});
  const texts: string[] = [];
  for (const type of types) {
    const row = TYPES[type];
    if (!row)
      throw new TeleportError(
        'BadParameter',
        `enum value must be one of ${Object.keys(TYPES).join(',')}, got '${type}'`,
      );
    const [authority, form] = row;
    for (const { cluster, kind, status, text } of await fetchAuthorityKeys(client, authority)) {
      // Those of leafs and roots are believed here for what is theirs, and are not ours to hand on.
      if (status !== 'active' || cluster !== domainName) continue;
      if (form === 'tls' && kind === 'tls') texts.push(text);
      if (form === 'ssh-host' && kind === 'ssh')
        texts.push(`@cert-authority ${domainName},*.${domainName} ${text.trim()} type=host`);
      if (form === 'ssh-user' && kind === 'ssh')
        texts.push(`cert-authority ${text.trim()} clustername=${domainName}&type=user`);
    }
  }
  if (!args.out) {
    for (const text of texts) {
      print(env, visible(text));
      printLine(env);
    }
    return;
  }
  env.stderr.write(`Writing ${texts.length} files with prefix "${args.out}"\n`);
  for (const [i, text] of texts.entries()) {
    const name = `${args.out}${i}.cer`;
    await writeWhole(resolve(env.cwd, name), text, 0o600);
    printLine(env, name);
  }
}
