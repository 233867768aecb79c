/** The region that nobody named. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultRegion } from '../../src/aws/region.js';

const NAMES = ['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_CONFIG_FILE', 'AWS_PROFILE'] as const;
const before = NAMES.map((name) => process.env[name]);
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'region-'));
  for (const name of NAMES) delete process.env[name];
  process.env.AWS_CONFIG_FILE = join(dir, 'config');
  await writeFile(process.env.AWS_CONFIG_FILE, '[default]\nregion = eu-west-3\n[profile team]\nregion = ap-south-1\n');
});
afterEach(async () => {
  NAMES.forEach((name, i) => {
    if (before[i] === undefined) delete process.env[name];
    else process.env[name] = before[i];
  });
  await rm(dir, { recursive: true });
});

test('the environment comes before the files: AWS_REGION, then AWS_DEFAULT_REGION, as for the aws command', async () => {
  process.env.AWS_DEFAULT_REGION = 'us-west-2';
  expect(await defaultRegion()).toBe('us-west-2');
  expect(await defaultRegion('team')).toBe('us-west-2');
  process.env.AWS_REGION = 'us-east-1';
  expect(await defaultRegion()).toBe('us-east-1');
  process.env.AWS_REGION = '';
  expect(await defaultRegion()).toBe('us-west-2');
});

test('then the profile', async () => {
  expect(await defaultRegion()).toBe('eu-west-3');
  expect(await defaultRegion('team')).toBe('ap-south-1');
});
