/** `tsh db connect` as the program that people install, with the machine's own psql. */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { findPsql } from '../../src/localproxy/psql/run.js';
import type { TestCluster } from './cluster.js';

/** Undefined where there is none. */
export const PSQL = await findPsql(process.env.PATH);

/** @returns what psql printed */
export async function connectAndRun(cluster: TestCluster, home: string, words: string[], sql: string): Promise<string> {
  const env = {
    PATH: process.env.PATH,
    HOME: cluster.envOf(home).home,
    SSL_CERT_FILE: cluster.webCaFile,
    TELEPORT_GLOBAL_TSH_CONFIG: '/nonexistent',
  };
  const args = [resolve('dist/tsh.js'), 'db', 'connect', ...words, '--', '-XAtc', sql];
  return (await promisify(execFile)(process.execPath, args, { env })).stdout;
}
