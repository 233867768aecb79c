import { expect, test } from '@jest/globals';
import type { FoundDatabase } from '../../src/aws/discover.js';
import { discoveredName } from '../../src/cloud/discovered-name.js';

const place = { region: 'us-east-1', account_id: '123456789012' };
const found = (name: string, labels: object = {}, aws: object = place) =>
  ({ name, aws, labels: { 'teleport.dev/discovery-type': 'redshift', ...labels } }) as unknown as FoundDatabase;

test.each([
  ['sales', found('sales'), 'sales-redshift-us-east-1-123456789012'],
  ['what is in it already', found('My-Redshift-us-east-1'), 'My-Redshift-us-east-1-123456789012'],
  ['everything is in it', found('redshift-us-east-1-123456789012'), 'redshift-us-east-1-123456789012'],
  ['AWS did not say the account', found('sales', {}, { region: 'us-east-1' }), 'sales-redshift-us-east-1'],
  ['a tag names it', found('nice', { TeleportDatabaseName: 'nice' }), 'nice'],
  ['the newer tag names it', found('nice', { 'teleport.dev/database_name': 'nice' }), 'nice'],
  ['the tag is empty', found('sales', { TeleportDatabaseName: '' }), 'sales-redshift-us-east-1-123456789012'],
])('%s', (_, one, name) => {
  const named = discoveredName(one);
  expect(named.name).toBe(name);
  expect(named.labels['teleport.internal/discovered-name']).toBe(name === one.name ? undefined : one.name);
});
