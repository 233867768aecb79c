import { auditedStatement } from '../../src/pg/audit-text.js';
import { encodeFrontend } from '../../src/pg/encode.js';
import type { FrontendMessage } from '../../src/pg/messages.js';

const audited = (message: FrontendMessage, cap = Infinity) => {
  const packet = encodeFrontend(message);
  const body = packet.subarray(5);
  return auditedStatement(packet[0]!, body.subarray(0, Math.min(cap, body.length)), body.length);
};

const bind = (
  parameterFormats: number[],
  parameters: (Buffer | null)[] = [Buffer.from('a'), null, Buffer.from('ÿ')],
) => ({ type: 'Bind' as const, portal: 'p', statement: 's', parameterFormats, parameters, resultFormats: [1] });

test('each audited message becomes the fields of its event', () => {
  expect(audited({ type: 'Query', query: 'select 1' })?.fields).toEqual({ db_query: 'select 1' });
  expect(audited({ type: 'Parse', statement: 's', query: 'select $1', parameterTypes: [23] })?.fields).toEqual({
    statement_name: 's',
    query: 'select $1',
  });
  expect(audited({ type: 'Execute', portal: 'p', maxRows: 0 })?.fields).toEqual({ portal_name: 'p' });
  expect(audited({ type: 'Close', target: 'S', name: 's' })?.fields).toEqual({ statement_name: 's' });
  expect(audited({ type: 'Close', target: 'P', name: 'p' })?.fields).toEqual({ portal_name: 'p' });
  const call = { functionOid: 1598, argumentFormats: [1], arguments: [Buffer.from([1, 2])], resultFormat: 0 };
  expect(audited({ type: 'FunctionCall', ...call })?.fields).toEqual({ function_oid: 1598, function_args: ['AQI='] });
  expect(audited({ type: 'Sync' })).toBeUndefined();
});

test.each([
  ['no code: all text', [], ['a', '', 'ÿ']],
  ['one code is for all', [1], ['YQ==', '', 'w78=']],
  ['a code for each', [0, 1, 1], ['a', '', 'w78=']],
  ['an unknown code', [0, 0, 7], ['a', '', '<unknown>']],
  ['a number of codes that fits nothing', [0, 1], []],
])('parameters: %s', (_, formats, expected) => {
  expect(audited(bind(formats))?.fields).toEqual({ statement_name: 's', portal_name: 'p', parameters: expected });
});

test('a body that was cut gives what was whole, at every cut', () => {
  expect(audited({ type: 'Query', query: 'select 1' }, 6)?.fields).toEqual({ db_query: 'select' });
  const cuts = Array.from({ length: 30 }, (_, cap) => audited(bind([0, 0, 1]), cap)?.fields);
  expect(cuts[0]).toEqual({ statement_name: '', portal_name: '', parameters: [] });
  expect(cuts[19]).toEqual({ statement_name: 's', portal_name: 'p', parameters: ['a'] });
  expect(cuts.at(-1)).toEqual({ statement_name: 's', portal_name: 'p', parameters: ['a', '', 'w78='] });
});

test('a whole body that does not decode is refused', () => {
  expect(() => auditedStatement(0x51, Buffer.from('select'), 6)).toThrow(expect.objectContaining({ code: 'Protocol' }));
});
