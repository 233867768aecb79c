/** `tctl discovery ls`: when each search in AWS last ran, what it found and what failed. Teleport has no such command. */
import type { Timestamp } from '../../api/protobuf.js';
import { timestampToText } from '../../api/time.js';
import type { Env } from '../../cli/env.js';
import { printJson, printLine, printTable } from '../../cli/output.js';
import { type AdminArgs, connectAdmin } from '../connect.js';

export interface DiscoveryLsArgs extends AdminArgs {
  format: 'text' | 'json';
}

interface Row {
  host: string;
  service: string;
  discovery_group: string;
  type: string;
  region: string;
  assume_role_arn: string;
  /** RFC 3339; empty: never. */
  last_run: string;
  last_success: string;
  found: number;
  failures: string[];
}

export async function run(env: Env, args: DiscoveryLsArgs): Promise<void> {
  await using client = await connectAdmin(env, args);
  const { hosts } = await client.discovery.listSearches({});
  const rows = hosts.flatMap(({ hostId, role, said }) =>
    (said?.searches ?? []).map(
      ({ type, region, roleArn, lastRun, lastSuccess, found, failures }): Row => ({
        host: said?.hostname || hostId,
        service: role === 'Discovery' ? 'discovery_service' : 'db_service',
        discovery_group: said?.discoveryGroup ?? '',
        type,
        region,
        assume_role_arn: roleArn,
        last_run: momentText(lastRun),
        last_success: momentText(lastSuccess),
        found,
        failures,
      }),
    ),
  );
  if (args.format === 'json') return printJson(env, rows);
  if (rows.length === 0) {
    return printLine(env, 'No service looks for databases in AWS: none has discovery_service or db_service.aws.');
  }
  await printTable(env, {
    titles: ['Host', 'Service', 'Group', 'Type', 'Region', 'Role', 'Last Run', 'Last Success', 'Found', 'State'],
    rows: rows.map((row) => [
      ...[row.host, row.service, row.discovery_group, row.type, row.region, row.assume_role_arn],
      ...[row.last_run, row.last_success || 'never', String(row.found)],
      row.failures.length === 0 ? 'ok' : `${row.failures.length} failed, see below`,
    ]),
    cut: ['Role', 'Group', 'Service'],
  });
  for (const { host, type, region, failures } of rows) {
    for (const text of failures) printLine(env, `\n${host}, ${type} in ${region}: ${text}`);
  }
}

/** To the second: nobody reads more. */
const momentText = (time: Timestamp | undefined): string => (timestampToText(time) ?? '').replace(/\.\d+Z$/, 'Z');
