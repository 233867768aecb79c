/** `tsh db env`: connection settings of an active database as environment variables. Source: cli.md 4.8. */
import { openAccess } from '../../access/open.js';
import type { Env } from '../../cli/env.js';
import { printJson, printShellLine, printYaml } from '../../cli/output.js';
import { connectionVariables } from '../../localproxy/psql/environment.js';
import { quotedWord } from '../../shell-word.js';
import { assertKeyFiles, assertReachable, type SelectorArgs } from './args.js';
import { chooseOneActive } from './choose.js';

export interface DbEnvArgs extends SelectorArgs {
  format: 'text' | 'json' | 'yaml';
}

export async function run(env: Env, args: DbEnvArgs): Promise<void> {
  await using access = await openAccess(env, args);
  const active = await chooseOneActive(access, args);
  assertReachable('tsh db env', args, access, active);
  await assertKeyFiles(access, args, active);
  const info = await access.connectionInfo(active.name);
  const variables: [string, string | undefined][] = [
    ['PGDATABASE', active.dbName],
    ['PGGSSENCMODE', 'disable'],
    ['PGHOST', info.host],
    ['PGPASSFILE', info.passFile],
    ['PGPORT', String(info.port)],
    ['PGSSLCERT', info.certFile],
    ['PGSSLKEY', info.keyFile],
    ['PGSSLMODE', info.sslMode],
    ['PGSSLROOTCERT', info.caFile],
    ['PGUSER', info.dbUser ?? active.dbUser],
  ];
  const values = variables.flatMap(([name, value]) => (value ? [[name, value] as const] : []));
  if (args.format === 'json') printJson(env, Object.fromEntries(values));
  else if (args.format === 'yaml') await printYaml(env, Object.fromEntries(values));
  else {
    // What is set and would win over the lines below, or lead libpq past them to another server.
    const others = connectionVariables(env.vars, env.platform).filter((name) => /^\w+$/.test(name));
    for (const name of others) if (!values.some(([own]) => own === name)) printShellLine(env, `unset ${name}`);
    for (const [name, value] of values) printShellLine(env, `export ${name}=${quotedWord(value)}`);
  }
}
