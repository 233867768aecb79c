/** Tests: src/db/server.ts. */
import { startDatabaseService } from '../../src/db/server.js';
import { silent } from '../../src/log.js';
import type { Database } from '../../src/resources/types.js';

test.each<[string, Partial<Database['spec']>, string]>([
  ['another protocol', { protocol: 'mysql' }, 'spec.protocol "mysql" is not supported here'],
  [
    'labels by commands',
    { dynamic_labels: { up: { period: '1m', command: ['uptime'] } } },
    'spec.dynamic_labels is not',
  ],
])('U3 a static database with %s ends the start, before anything is opened', async (_what, spec, message) => {
  const databases: Database[] = [
    {
      kind: 'db',
      version: 'v3',
      metadata: { name: 'x' },
      spec: { protocol: 'postgres', uri: 'localhost:5432', ...spec },
    },
  ];
  const identity = {} as Parameters<typeof startDatabaseService>[0]['identity'];
  const starting = startDatabaseService({
    identity,
    proxies: [],
    authRoute: { kind: 'direct', host: '127.0.0.1', port: 1 },
    vars: {},
    resources: [],
    databases,
    dataDir: '/nowhere',
    version: '18.3.0',
    log: silent,
  });
  await expect(starting).rejects.toThrow(message);
});
