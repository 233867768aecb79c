/** `tsh db config`: connection settings of an active database, for people, scripts and psql. Source: cli.md 4.9. */
import { openAccess } from '../../access/open.js';
import type { Env } from '../../cli/env.js';
import { factLines } from '../../cli/facts.js';
import { printJson, printLine, printShellLine, printYaml } from '../../cli/output.js';
import { connectionUri } from '../../localproxy/psql/command.js';
import { withoutVariables } from '../../localproxy/psql/environment.js';
import { findPsql } from '../../localproxy/psql/run.js';
import { quotedWord } from '../../shell-word.js';
import { assertKeyFiles, assertReachable, type SelectorArgs } from './args.js';
import { chooseOneActive } from './choose.js';

export interface DbConfigArgs extends SelectorArgs {
  format: 'text' | 'cmd' | 'json' | 'yaml';
}

/** Cells before the values. */
const VALUE_COLUMN = 11;

export async function run(env: Env, args: DbConfigArgs): Promise<void> {
  await using access = await openAccess(env, args);
  const active = await chooseOneActive(access, args);
  assertReachable('tsh db config', args, access, active);
  await assertKeyFiles(access, args, active);
  const info = await access.connectionInfo(active.name);
  if (args.format === 'cmd') {
    const uri = connectionUri({
      host: info.host,
      port: info.port,
      dbUser: info.dbUser ?? active.dbUser,
      dbName: active.dbName,
      tls: {
        rootCert: info.caFile,
        cert: info.certFile,
        key: info.keyFile,
        passFile: info.passFile,
        mode: info.sslMode,
      },
    });
    // The first word of the line is the (empty) environment of the command, so it begins with a blank.
    const program = (await findPsql(env.vars.PATH)) ?? 'psql';
    printShellLine(env, ` ${withoutVariables(env.vars, env.platform)}${quotedWord(program)} "${uri}"`);
    return;
  }
  const all: [string, string | number | undefined][] = [
    ['name', active.name],
    ['host', info.host],
    ['port', info.port],
    ['user', info.dbUser ?? active.dbUser],
    ['database', active.dbName],
    ['ca', info.caFile],
    ['cert', info.certFile],
    ['key', info.keyFile],
    ['passfile', info.passFile],
  ];
  const values = all.filter(([, value]) => value !== undefined);
  if (args.format === 'text') {
    const label = (key: string) => (key === 'ca' ? 'CA' : key[0]!.toUpperCase() + key.slice(1));
    const facts = values.map(([key, value]) => [`${label(key)}:`, String(value)] as const);
    for (const line of factLines(facts, VALUE_COLUMN)) printLine(env, line);
    return;
  }
  const record = Object.fromEntries(values.filter(([, value]) => value !== ''));
  if (args.format === 'json') printJson(env, record);
  else await printYaml(env, record);
}
