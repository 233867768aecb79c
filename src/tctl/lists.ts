/** Whole lists of the cluster's resources, as resources. */
import type { AuthClient } from '../api/client.js';
import { fromMessage, fromMessages } from '../api/convert.js';
import { everyPage } from '../api/pages.js';
import type { DatabaseServer, ProvisionToken, Role, User, UserToken } from '../resources/types.js';

const PAGE_SIZE = 1000;

export async function listUsers(client: AuthClient): Promise<User[]> {
  const users = await everyPage('users', async (pageToken) => {
    const page = await client.users.listUsers({ pageToken });
    return { items: fromMessages('user', page.users), next: page.nextPageToken };
  });
  return users.sort(byName);
}

export async function listRoles(client: AuthClient): Promise<Role[]> {
  const roles = await everyPage('roles', async (startKey) => {
    const page = await client.auth.listRoles({ limit: PAGE_SIZE, startKey });
    return { items: fromMessages('role', page.roles), next: page.nextKey };
  });
  return roles.sort(byName);
}

export function listTokens(client: AuthClient): Promise<ProvisionToken[]> {
  return everyPage('tokens', async (startKey) => {
    const page = await client.auth.listProvisionTokens({ limit: PAGE_SIZE, startKey });
    return { items: fromMessages('token', page.tokens), next: page.nextKey };
  });
}

export function listUserTokens(client: AuthClient): Promise<UserToken[]> {
  return everyPage('user tokens', async (pageToken) => {
    const page = await client.auth.listResetPasswordTokens({ pageSize: PAGE_SIZE, pageToken });
    return { items: fromMessages('user_token', page.userTokens), next: page.nextPageToken };
  });
}

export async function listDatabaseServers(
  client: AuthClient,
  filter: { labels?: Record<string, string>; search?: string[]; query?: string } = {},
): Promise<DatabaseServer[]> {
  const servers = await everyPage('database servers', async (startKey) => {
    const page = await client.auth.listResources({
      resourceType: 'db_server',
      namespace: 'default',
      limit: PAGE_SIZE,
      startKey,
      labels: filter.labels ?? {},
      searchKeywords: filter.search ?? [],
      predicateExpression: filter.query ?? '',
    });
    const found = page.resources.map(({ resource }) => resource).filter((one) => one.case === 'databaseServer');
    return { items: found.map(({ value }) => fromMessage('db_server', value)), next: page.nextKey };
  });
  return servers.sort((a, b) => a.spec.hostname.localeCompare(b.spec.hostname) || byName(a, b));
}

function byName(a: { metadata: { name: string } }, b: { metadata: { name: string } }): number {
  return a.metadata.name < b.metadata.name ? -1 : a.metadata.name > b.metadata.name ? 1 : 0;
}
