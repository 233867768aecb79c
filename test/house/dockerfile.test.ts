/** What the Dockerfile takes for granted. An image cannot be built here: its steps are those of `.ci/run`, which runs them. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { DEFAULT_DATA_DIR } from '../../src/resources/default-paths.js';

const dockerfile = readFileSync('Dockerfile', 'utf8');
const { name, engines, scripts, bin } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  name: string;
  engines: { node: string };
  scripts: Record<string, string>;
  bin: Record<string, string>;
};

test('its Node is one that the programs are for, its scripts and programs are there, its folder is the default one', () => {
  const images = [...dockerfile.matchAll(/^FROM node:(\d+)/gm)].map(([, major]) => Number(major));
  expect(images.length).toBe(2);
  for (const major of images) expect(major).toBeGreaterThanOrEqual(Number(/\d+/.exec(engines.node)![0]));
  for (const [, script] of dockerfile.matchAll(/npm run -s (\w+)/g)) expect(scripts).toHaveProperty(script!);
  expect(dockerfile).toContain(`/package/${name}-*.tgz`);
  expect(Object.keys(bin)).toContain(/^ENTRYPOINT \["(\w+)"\]$/m.exec(dockerfile)![1]);
  expect(dockerfile).toContain(`-m 0700 ${DEFAULT_DATA_DIR}`);
  expect(dockerfile).toContain(`VOLUME ${DEFAULT_DATA_DIR}`);
});
