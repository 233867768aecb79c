/**
 * What is recorded of each way to send a statement or a value, whole and in pieces.
 * Tests: src/pg/kept-text.ts
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { MOST_RECORD_BYTES, recordText } from '../../src/audit/record-text.js';
import {
  type AuditedStatement,
  MOST_STATEMENT_BYTES,
  StatementReader,
  type TextPart,
} from '../../src/pg/audit-text.js';
import { encodeFrontend } from '../../src/pg/encode.js';
import type { FrontendMessage } from '../../src/pg/messages.js';
import { createScanner } from '../../src/pg/scan.js';

interface Seen {
  statements: AuditedStatement[];
  parts: TextPart[];
}

/** @param cuts  sizes of the pieces in which the bytes come, over and over */
function seen(bytes: Buffer, cuts: readonly number[] = [65_536]): Seen {
  const all: Seen = { statements: [], parts: [] };
  const reader = new StatementReader({
    onPart: (part) => all.parts.push(part),
    onStatement: (statement) => all.statements.push(statement),
  });
  const scanner = createScanner({ side: 'frontend', ...reader });
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = cuts[turn % cuts.length]!;
    // A piece is overwritten once it has been seen: nothing may still look at it.
    const piece = Buffer.from(bytes.subarray(at, at + size));
    scanner.push(piece);
    piece.fill(0xee);
    at += size;
  }
  return all;
}

const audited = (message: FrontendMessage) => seen(encodeFrontend(message)).statements[0];
const sha = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');
const KIB = 1024;

const bind = (
  parameterFormats: number[],
  parameters: (Buffer | null)[] = [Buffer.from('a'), null, Buffer.from('ÿ')],
) => ({ type: 'Bind' as const, portal: 'p', statement: 's', parameterFormats, parameters, resultFormats: [1] });

test('each audited message becomes the fields of its event', () => {
  expect(audited({ type: 'Query', query: 'select 1' })?.fields).toEqual({
    db_query: 'select 1',
    db_query_bytes: 8,
    db_query_sha256: sha('select 1'),
  });
  expect(audited({ type: 'Parse', statement: 's', query: 'select $1', parameterTypes: [23] })?.fields).toEqual({
    statement_name: 's',
    query: 'select $1',
    db_query_bytes: 9,
    db_query_sha256: sha('select $1'),
  });
  expect(audited({ type: 'Execute', portal: 'p', maxRows: 0 })?.fields).toEqual({ portal_name: 'p' });
  expect(audited({ type: 'Close', target: 'S', name: 's' })?.fields).toEqual({ statement_name: 's' });
  expect(audited({ type: 'Close', target: 'P', name: 'p' })?.fields).toEqual({ portal_name: 'p' });
  const call = { functionOid: 1598, argumentFormats: [1], arguments: [Buffer.from([1, 2])], resultFormat: 0 };
  expect(audited({ type: 'FunctionCall', ...call })?.fields).toEqual({ function_oid: 1598, function_args: ['AQI='] });
  expect(audited({ type: 'Sync' })).toBeUndefined();
});

describe('M4 what is not UTF-8 is recorded without loss', () => {
  const word = (bytes: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const message = (tag: string, ...parts: Buffer[]) => Buffer.concat([Buffer.from(tag), lengthOf(parts), ...parts]);
  const lengthOf = (parts: Buffer[]) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(4 + parts.reduce((sum, { length }) => sum + length, 0));
    return length;
  };
  const name = Buffer.from([0xe9, 0x80, 0]);
  const text = '\u00e9\u0080';
  const [count, none] = [Buffer.from([0, 2]), Buffer.from([0, 0])];
  const values = [Buffer.from('é'), Buffer.from([0xff, 0xfe])];

  test('in names', () => {
    expect(seen(message('P', name, Buffer.from('select 1\0'), none)).statements[0]?.fields).toMatchObject({
      statement_name: text,
      statement_name_encoding: 'latin1',
    });
    expect(seen(message('E', name, Buffer.alloc(4))).statements[0]?.fields).toEqual({
      portal_name: text,
      portal_name_encoding: 'latin1',
    });
    for (const [target, field] of [
      ['S', 'statement_name'],
      ['P', 'portal_name'],
    ] as const) {
      const close = message('C', Buffer.from(target), name);
      expect(seen(close).statements[0]?.fields).toEqual({ [field]: text, [`${field}_encoding`]: 'latin1' });
    }
  });

  test.each([0, 100 * KIB])('in values, beside one of %i bytes', (size) => {
    const long = Buffer.alloc(size, 'x');
    const all = [...values, long];
    const bind = message('B', name, name, none, Buffer.from([0, 3]), ...all.map(word), none);
    expect(seen(bind).statements[0]?.fields).toMatchObject({
      statement_name: text,
      statement_name_encoding: 'latin1',
      portal_name: text,
      portal_name_encoding: 'latin1',
      parameters: ['é', '\u00ff\u00fe', expect.any(String)],
      parameters_latin1: [1],
      parameters_sha256: sha(Buffer.concat(all.map(word))),
    });
    const call = message('F', Buffer.alloc(4), none, count, ...values.map(word), none);
    expect(seen(call).statements[0]?.fields).toEqual({
      function_oid: 0,
      function_args: ['é', '\u00ff\u00fe'],
      function_args_latin1: [1],
      function_args_sha256: sha(Buffer.concat(values.map(word))),
    });
  });
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

describe('X1 a statement does not hide', () => {
  const hidden = `/*${'x'.repeat(256 * KIB)}*/ insert into h select 666`;
  const whole = (first: string, parts: TextPart[]) => first + parts.map(({ text }) => text).join('');

  test.each([[[65_536]], [[1000]], [[7, 65_536, 1]], [[2 ** 24]]])('behind filler, in pieces of %j bytes', (cuts) => {
    const query = seen(encodeFrontend({ type: 'Query', query: hidden }), cuts);
    const parsed = seen(
      encodeFrontend({ type: 'Parse', statement: 's', query: hidden, parameterTypes: [23, 25] }),
      cuts,
    );
    for (const { statements, parts } of [query, parsed]) {
      const [{ fields }] = statements as unknown as [{ fields: Record<string, unknown> }];
      expect(whole((fields.db_query ?? fields.query) as string, parts)).toBe(hidden);
      expect(parts.map(({ part }) => part)).toEqual([1, 2, 3, 4]);
      expect(fields).toMatchObject({
        db_query_bytes: hidden.length,
        db_query_sha256: sha(hidden),
        db_query_parts: 4,
      });
    }
    expect(parsed.statements[0]!.fields).toMatchObject({ statement_name: 's' });
  });

  test('in characters that are cut between two parts', () => {
    for (const filler of ['ü', '€', '😀'])
      for (let shift = 0; shift < 4; shift++) {
        const text = 'x'.repeat(shift) + filler.repeat(50_000);
        const { statements, parts } = seen(encodeFrontend({ type: 'Query', query: text }), [10_001]);
        expect(whole((statements[0]!.fields as { db_query: string }).db_query, parts)).toBe(text);
      }
  });

  test('in bytes that are not UTF-8: they stand for themselves', () => {
    const bytes = Buffer.from(`select '\xff\xfe'`, 'latin1');
    for (const filler of [0, 100 * KIB]) {
      const text = Buffer.concat([Buffer.alloc(filler, 'x'), bytes]);
      const { statements, parts } = seen(packet('Q', Buffer.concat([text, Buffer.alloc(1)])));
      const last = parts.at(-1) ?? { text: (statements[0]!.fields as { db_query: string }).db_query };
      expect(last.text.endsWith("select 'ÿþ'")).toBe(true);
      expect(statements[0]!.fields).toMatchObject({ db_query_sha256: sha(text), db_query_bytes: text.length });
      expect(
        parts.at(-1)?.encoding ?? (statements[0]!.fields as { db_query_encoding?: string }).db_query_encoding,
      ).toBe('latin1');
    }
  });

  test('behind many format codes, and many parameters', () => {
    const formats = Array.from({ length: 65_535 }, () => 1);
    const values = Array.from({ length: 65_535 }, (_, n) => Buffer.from(`v${n}`));
    const [{ fields }] = seen(encodeFrontend(bind(formats, values))).statements as unknown as [
      { fields: Record<string, unknown> },
    ];
    const kept = fields.parameters as string[];
    expect(kept.length).toBeGreaterThan(5000);
    expect(kept.slice(0, -1)).toEqual(values.slice(0, kept.length - 1).map((value) => value.toString('base64')));
    const packed = Buffer.concat(values.flatMap((value) => [int32(value.length), value]));
    expect(fields).toMatchObject({
      statement_name: 's',
      portal_name: 'p',
      parameters_count: 65_535,
      parameters_bytes: values.reduce((sum, { length }) => sum + length, 0),
      parameters_sha256: sha(packed),
    });
    expect(fields.parameters_cut).toHaveLength(100);
    expect(JSON.stringify(fields).length).toBeLessThan(200 * KIB);
  });

  test('behind a value of 3 MB, of Bind and of FunctionCall', () => {
    const large = Buffer.alloc(3_000_000, 'y');
    const values = [Buffer.from('first'), null, large, Buffer.from('drop table h')];
    const [bound] = seen(encodeFrontend(bind([], values)), [70_000]).statements;
    const call = { functionOid: 957, argumentFormats: [], arguments: values, resultFormat: 0 };
    const [called] = seen(encodeFrontend({ type: 'FunctionCall', ...call }), [70_000]).statements;
    const facts = (name: string) => ({
      [name]: ['first', '', 'y'.repeat(64 * KIB - 4 - 5 - 4 - 4)],
      [`${name}_count`]: 4,
      [`${name}_bytes`]: 5 + 3_000_000 + 12,
      [`${name}_cut`]: [
        { index: 2, bytes: 3_000_000, sha256: sha(large) },
        { index: 3, bytes: 12, sha256: sha('drop table h') },
      ],
    });
    expect(bound!.fields).toMatchObject(facts('parameters'));
    expect(called!.fields).toMatchObject({ function_oid: 957, ...facts('function_args') });
  });

  test.each(['Q', 'P'])('of more than 16 MiB is refused by the header of %s with 54000', (letter) => {
    const head = (bytes: number) => packet(letter, Buffer.alloc(0), bytes);
    expect(() => seen(head(MOST_STATEMENT_BYTES + 1))).toThrow(
      expect.objectContaining({ sqlState: '54000', code: 'LimitExceeded' }),
    );
    expect(seen(head(MOST_STATEMENT_BYTES)).statements).toEqual([]);
  });

  test('H2 as values and names of control characters: the record is one that Auth takes', () => {
    const fill = (bytes: number) => '\x01'.repeat(bytes);
    const message = { ...bind([], [Buffer.from(fill(64 * KIB - 4))]), portal: fill(1024), statement: fill(1024) };
    const [{ fields }] = seen(encodeFrontend(message)).statements as [AuditedStatement];
    expect((fields as { parameters: string[] }).parameters[0]).toHaveLength(64 * KIB - 4);
    expect(recordText(fields).length).toBeLessThan(MOST_RECORD_BYTES / 2);
  });

  const NAMES: [string, (name: string) => FrontendMessage][] = [
    ['portal of a Bind', (portal) => ({ ...bind([]), portal })],
    ['statement of a Bind', (statement) => ({ ...bind([]), statement })],
    ['portal of a long Bind', (portal) => ({ ...bind([], [Buffer.alloc(70_000)]), portal })],
    ['statement of a long Bind', (statement) => ({ ...bind([], [Buffer.alloc(70_000)]), statement })],
    ['statement of a Parse', (statement) => ({ type: 'Parse', statement, query: '', parameterTypes: [] })],
    [
      'statement of a long Parse',
      (s) => ({ type: 'Parse', statement: s, query: 'x'.repeat(70_000), parameterTypes: [] }),
    ],
    ['portal of an Execute', (portal) => ({ type: 'Execute', portal, maxRows: 0 })],
    ['name of a Close', (name) => ({ type: 'Close', target: 'P', name })],
  ];
  test.each(NAMES)('H2 as a name: the %s has at most 1 KiB', (_, message) => {
    expect(seen(encodeFrontend(message('n'.repeat(1024)))).statements).toHaveLength(1);
    expect(() => seen(encodeFrontend(message('n'.repeat(1025))))).toThrow(
      expect.objectContaining({ sqlState: '54000', message: expect.stringContaining('name of more than 1024 bytes') }),
    );
  });

  test.each(['E', 'C'])('as a name: %s of more than 64 KiB is refused with 54000', (letter) => {
    const refused = expect.objectContaining({ sqlState: '54000' });
    expect(() => seen(packet(letter, Buffer.alloc(0), 65_537))).toThrow(refused);
    const long = Buffer.concat([Buffer.alloc(70_000, 'n'), Buffer.alloc(1)]);
    expect(() => seen(packet('B', Buffer.alloc(0), 200_000))).not.toThrow();
    expect(() => seen(packet('B', Buffer.concat([long, Buffer.alloc(20)])))).toThrow(refused);
    expect(() => seen(packet('P', Buffer.concat([long, Buffer.from('select 1\0\0\0')])))).toThrow(refused);
  });
});

test('a long body gives the same in whatever pieces it comes', () => {
  const value = fc.option(fc.integer({ min: 0, max: 40_000 }), { nil: null });
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 2, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 50_000 }), { minLength: 1, maxLength: 5 }),
      (lengths, cuts) => {
        const values = lengths.map((length, n) => (length === null ? null : Buffer.alloc(length, `${n}`)));
        const bytes = encodeFrontend(bind([0], [...values, Buffer.alloc(64 * KIB)]));
        expect(seen(bytes, cuts)).toEqual(seen(bytes, [bytes.length]));
      },
    ),
    { numRuns: 50 },
  );
});

describe('X14 a body that does not decode is refused', () => {
  const long = (bytes: number) => Buffer.alloc(bytes, 'x');
  test.each([
    ['a Query with a NUL inside', 'Q', 'select 1\0 drop\0'],
    ['a Query without its end', 'Q', 'select 1'],
    ['a long Query with a NUL inside', 'Q', Buffer.concat([long(70_000), Buffer.from('\0more\0')])],
    ['a long Query without its end', 'Q', long(70_000)],
    ['a Parse without types', 'P', 's\0select 1\0'],
    [
      'a long Parse with fewer types than it says',
      'P',
      Buffer.concat([Buffer.from('s\0'), long(70_000), Buffer.from('\0\0\x02\0\0')]),
    ],
    ['a Bind with a negative length', 'B', '\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0'],
    [
      'a long Bind with a negative length',
      'B',
      Buffer.concat([Buffer.from('\0\0\0\0\0\x01\xff\xff\xff\xfe', 'latin1'), long(70_000)]),
    ],
    [
      'a long Bind that ends within a value',
      'B',
      Buffer.concat([Buffer.from('\0\0\0\0\0\x01\x7f\0\0\0', 'latin1'), long(70_000)]),
    ],
    [
      'a long FunctionCall with more than it says',
      'F',
      Buffer.concat([Buffer.from('\0\0\0\x01\0\0\0\0\0\0'), long(70_000)]),
    ],
    ['a Close of neither', 'C', 'x\0'],
  ] as [string, string, string | Buffer][])('%s', (_, letter, body) => {
    const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
    for (const cuts of [[65_536], [999]]) {
      expect(() => seen(packet(letter, bytes), cuts)).toThrow(expect.objectContaining({ code: 'Protocol' }));
    }
  });
});

function packet(letter: string, body: Buffer, bytes = body.length): Buffer {
  return Buffer.concat([Buffer.from(letter), int32(4 + bytes), body]);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
