/** A test cluster becomes the leaf of another. The leaf was started with the root's `webCaFile` as SSL_CERT_FILE. */
import type { RoleMapping } from '../../src/resources/types.js';
import type { TestCluster } from './cluster.js';
import { until } from './until.js';

export interface TrustOptions {
  roleMap: RoleMapping[];
  /** Default the address of the root's Proxy. */
  webProxyAddr?: string;
  /** Default `webProxyAddr`. */
  tunnelAddr?: string;
}

export async function tokenForLeaf(root: Pick<TestCluster, 'tctl'>): Promise<string> {
  const { stdout } = await root.tctl('tokens', 'add', '--type=trusted_cluster', '--ttl=30m', '--format=text');
  return stdout.trim();
}

/** A `trusted_cluster`. @param spec  in place of what fits the root */
export function trustedCluster(root: Pick<TestCluster, 'name' | 'proxyAddr'>, spec: object): object {
  const { name, proxyAddr } = root;
  const all = { enabled: true, web_proxy_addr: proxyAddr, tunnel_addr: proxyAddr, ...spec };
  return { kind: 'trusted_cluster', version: 'v2', metadata: { name }, spec: all };
}

/** Resolves when the root sees the leaf. */
export async function makeLeaf(
  leaf: TestCluster,
  root: TestCluster,
  { roleMap, webProxyAddr = root.proxyAddr, tunnelAddr = webProxyAddr }: TrustOptions,
): Promise<void> {
  const token = await tokenForLeaf(root);
  const spec = { token, web_proxy_addr: webProxyAddr, tunnel_addr: tunnelAddr, role_map: roleMap };
  await leaf.create(trustedCluster(root, spec));
  await untilLeafIs('online', leaf.name, root);
}

export async function untilLeafIs(status: string, leaf: string, root: Pick<TestCluster, 'tctl'>): Promise<void> {
  await until(`the leaf ${leaf} is ${status}`, async () => {
    const { stdout } = await root.tctl('get', `rc/${leaf}`, '--format=json');
    const [found] = JSON.parse(stdout) as { status: { connection: string } }[];
    return found?.status.connection === status || undefined;
  });
}
