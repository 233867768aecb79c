/** What Auth and the log hear of searches in AWS. */
import { expect, test } from '@jest/globals';
import type { AuthClient } from '../../src/api/client.js';
import type { ReportSearchesRequest } from '../../src/api/gen/internal_pb.js';
import { searchReporter } from '../../src/cloud/report.js';
import type { Search } from '../../src/cloud/search.js';
import { createLogger } from '../../src/log.js';
import type { Database } from '../../src/resources/types.js';

const search = (more: Partial<Search> = {}): Search => ({
  type: 'redshift',
  region: 'us-east-1',
  matcher: { types: ['redshift'], regions: ['us-east-1'] },
  found: [],
  failures: [],
  ignored: [],
  ...more,
});

function reporter() {
  const said: Pick<ReportSearchesRequest, 'searches'>[] = [];
  const logged: string[] = [];
  const discovery = { reportSearches: async (request: (typeof said)[number]) => void said.push(request) };
  const log = createLogger({ component: 'T', level: 'warn', write: (line) => logged.push(line) });
  const report = searchReporter({ discovery } as unknown as Pick<AuthClient, 'discovery'>, { nodename: 'n', log });
  return { report, said, logged, failures: () => said.at(-1)!.searches.map((one) => one.failures) };
}

test('a report of many failures is cut to what Auth keeps, and says how many were left out', async () => {
  const { report, said, failures } = reporter();
  const texts = (count: number) => Array.from({ length: count }, (_, i) => `${i} "${'\u00e4'.repeat(600)}`);
  const searches = Array.from({ length: 40 }, () => search({ failures: texts(25) }));
  await report({ searches: [...searches, search()], troubles: [] });
  expect(Buffer.byteLength(JSON.stringify(said))).toBeLessThan(256 * 1_024);
  const [first, ...others] = failures();
  // Of 3.2 KiB each: none takes the place of another.
  expect(first).toEqual([expect.stringMatching(/^0 /), expect.stringMatching(/^1 /), expect.anything(), 'and 22 more']);
  expect(others).toEqual([...Array.from({ length: 39 }, () => first), []]);
  await report({ searches: [search({ failures: texts(25) }), search({ failures: texts(20) })], troubles: [] });
  expect(failures().map(({ length }) => length)).toEqual([20, 20]);
  expect(failures()[0]!.at(-1)).toBe('and 6 more');
  await report({ searches: Array.from({ length: 1_000 }, () => search({ failures: texts(2) })), troubles: [] });
  expect(failures()[999]).toEqual(['2 failed: there are too many failures to show them']);
});

test('what is ignored is reported, and a trouble is a warning when it is new', async () => {
  const { report, logged, failures } = reporter();
  const database = {
    metadata: { name: 'sales', labels: { 'teleport.dev/discovery-type': 'redshift' } },
    spec: { aws: { region: 'us-east-1' } },
  } as unknown as Database;
  const round = (...texts: string[]) =>
    report({
      searches: [search({ ignored: ['odd is ignored: its name'] })],
      troubles: texts.map((text) => ({ database, text })),
    });
  await round('taken');
  await round('taken');
  expect(failures()).toEqual([['odd is ignored: its name', 'taken']]);
  expect(logged).toHaveLength(1);
  await round('taken', 'left out');
  expect(logged).toHaveLength(2);
  await round();
  await round('taken');
  expect(logged).toHaveLength(3);
});
