/** All `db` resources that the caller may see, by name. */
import type { Database } from '../resources/types.js';
import type { AuthClient } from './client.js';
import { fromMessages } from './convert.js';
import { everyPage } from './pages.js';

const PAGE_SIZE = 1000;

export async function listDatabases({ auth }: Pick<AuthClient, 'auth'>): Promise<Database[]> {
  const databases = await everyPage('databases', async (pageToken) => {
    const { databases, nextPageToken } = await auth.listDatabases({ pageSize: PAGE_SIZE, pageToken });
    return { items: fromMessages('db', databases), next: nextPageToken };
  });
  return databases.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}
