/** The teleport.yaml of a Database Service on a host of its own, which joins a test cluster through its Proxy. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestCluster } from './cluster.js';

/**
 * @param token  a join token; a host that has joined needs none
 * @param name  of the host
 * @param services  what runs there instead of a Database Service for every resource
 * @returns the file, in a folder of its own under the cluster's
 */
export async function writeAgentConfig(
  cluster: TestCluster,
  token?: string,
  name = 'agent',
  services: object = { db_service: { enabled: 'yes', resources: [{ labels: { '*': '*' } }] } },
): Promise<string> {
  const dir = join(cluster.dir, name);
  await mkdir(dir, { recursive: true });
  const file = join(dir, 'teleport.yaml');
  const config = {
    version: 'v3',
    teleport: {
      nodename: name,
      data_dir: join(dir, 'data'),
      proxy_server: cluster.proxyAddr,
      ...(token ? { join_params: { method: 'token', token_name: token } } : {}),
    },
    auth_service: { enabled: 'no' },
    proxy_service: { enabled: 'no' },
    ...services,
  };
  await writeFile(file, JSON.stringify(config));
  return file;
}
