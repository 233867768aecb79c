/** Whole lists of the cluster's resources, page after page, as resources. */
import type { AuthClient } from '../api/client.js';
import { fromMessage, fromMessages } from '../api/convert.js';
import type { DatabaseServer, ProvisionToken, Role, User, UserToken } from '../resources/types.js';

const PAGE_SIZE = 1000;

export async function listUsers(client: AuthClient): Promise<User[]> {
  const users: User[] = [];
  for (let pageToken = ''; ; ) {
    const page = await client.users.listUsers({ pageToken });
    users.push(...fromMessages('user', page.users));
    pageToken = page.nextPageToken;
    if (pageToken === '') return users.sort(byName);
  }
}

export async function listRoles(client: AuthClient): Promise<Role[]> {
  const roles: Role[] = [];
  for (let startKey = ''; ; ) {
    const page = await client.auth.listRoles({ limit: PAGE_SIZE, startKey });
    roles.push(...fromMessages('role', page.roles));
    startKey = page.nextKey;
    if (startKey === '') return roles.sort(byName);
  }
}

export async function listTokens(client: AuthClient): Promise<ProvisionToken[]> {
  const tokens: ProvisionToken[] = [];
  for (let startKey = ''; ; ) {
    const page = await client.auth.listProvisionTokens({ limit: PAGE_SIZE, startKey });
    tokens.push(...fromMessages('token', page.tokens));
    startKey = page.nextKey;
    if (startKey === '') return tokens;
  }
}

export async function listUserTokens(client: AuthClient): Promise<UserToken[]> {
  const { userTokens } = await client.auth.listResetPasswordTokens({ pageSize: PAGE_SIZE });
  return fromMessages('user_token', userTokens);
}

export async function listDatabaseServers(
  client: AuthClient,
  filter: { labels?: Record<string, string>; search?: string[]; query?: string } = {},
): Promise<DatabaseServer[]> {
  const servers: DatabaseServer[] = [];
  for (let startKey = ''; ; ) {
    const page = await client.auth.listResources({
      resourceType: 'db_server',
      namespace: 'default',
      limit: PAGE_SIZE,
      startKey,
      labels: filter.labels ?? {},
      searchKeywords: filter.search ?? [],
      predicateExpression: filter.query ?? '',
    });
    for (const { resource } of page.resources) {
      if (resource.case === 'databaseServer') servers.push(fromMessage('db_server', resource.value));
    }
    startKey = page.nextKey;
    if (startKey === '') break;
  }
  return servers.sort((a, b) => a.spec.hostname.localeCompare(b.spec.hostname) || byName(a, b));
}

function byName(a: { metadata: { name: string } }, b: { metadata: { name: string } }): number {
  return a.metadata.name < b.metadata.name ? -1 : a.metadata.name > b.metadata.name ? 1 : 0;
}
