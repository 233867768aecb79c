/** All `db` resources that the caller may see, page after page, by name. */
import type { Database } from '../resources/types.js';
import type { AuthClient } from './client.js';
import { fromMessages } from './convert.js';

const PAGE_SIZE = 1000;

export async function listDatabases({ auth }: Pick<AuthClient, 'auth'>): Promise<Database[]> {
  const databases: Database[] = [];
  for (let pageToken = ''; ; ) {
    const page = await auth.listDatabases({ pageSize: PAGE_SIZE, pageToken });
    databases.push(...fromMessages('db', page.databases));
    pageToken = page.nextPageToken;
    if (pageToken === '') return databases.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }
}
