/** The redactor: whole values as people type them, and prose that quotes them. */
import { describe, expect, test } from '@jest/globals';
import { isEndpoint, parseEndpoint } from '../src/access/endpoint.js';
import { TeleportError } from '../src/errors.js';
import { createLogger } from '../src/log.js';
import { redactorOf, redactText, redactValue, yamlReason } from '../src/redact.js';
import type { Database } from '../src/resources/types.js';
import { checkDatabase } from '../src/resources/validate-database.js';
import { FORMS, SECRET } from './support/secret-forms.js';

/** The forms that say where to go, and what is left of them. */
const READ: [string, object][] = [
  ['redshift+psycopg2://bob:S@H:5439/dev', { dbUser: 'bob', dbName: 'dev', port: 5439 }],
  ['redshift+redshift_connector://bob:S@H/dev', { dbUser: 'bob', port: 5439 }],
  ['postgresql+asyncpg://bob:S@H:5440/dev', { dbUser: 'bob', port: 5440 }],
  ['jdbc:postgresql://H:5439/dev?user=bob&password=S', { dbUser: 'bob' }],
  ['jdbc:redshift://H:5439/dev;UID=bob;PWD=S', { dbUser: 'bob' }],
  ["host=H port=5440 dbname=dev user=bob password='S x'", { dbUser: 'bob', dbName: 'dev', port: 5440 }],
  ["user = 'bob' password = S\\ x host = H", { dbUser: 'bob' }],
  [
    'Driver={Amazon Redshift (x64)};Server=H;Port=5440;Database=dev;UID=bob;PWD={S;}}x};IAM=1',
    { dbUser: 'bob', port: 5440 },
  ],
  ['Server=H;DbUser=bob;AutoCreate=1;AccessKeyID=S;SecretAccessKey=S', { dbUser: 'bob' }],
];

test.each(READ)('B4 %s is understood, and goes by what is not secret', (form, expected) => {
  const host = 'sales.abc123.cn-north-1.redshift.amazonaws.com.cn';
  const text = form.replace(/\bH\b/, host).replace(/\bS(?=[ @;}\\'&]|$)/g, SECRET);
  expect(isEndpoint(text)).toBe(true);
  const endpoint = parseEndpoint(text);
  expect(endpoint).toMatchObject({
    ...expected,
    host,
    aws: { region: 'cn-north-1', redshift: { cluster_id: 'sales' } },
  });
  expect(endpoint.hasPassword || endpoint.hasKeys).toBe(true);
  expect(endpoint.text).not.toContain(SECRET);
  // What is stored and shown leads to the same place.
  expect(parseEndpoint(endpoint.text)).toMatchObject({ ...expected, host, text: endpoint.text });
});

test('B4 a cluster by name and region, as the ODBC driver takes it', () => {
  expect(parseEndpoint(`ClusterID=sales;Region=eusc-de-east-1;Database=dev;PWD=${SECRET}`)).toMatchObject({
    aws: { region: 'eusc-de-east-1', redshift: { cluster_id: 'sales' } },
    dbName: 'dev',
    text: 'redshift:iam://sales:eusc-de-east-1/dev',
  });
});

describe.each(FORMS)('B4 %s', (form) => {
  test('as a value', () => {
    expect(redactValue(form)).not.toContain(SECRET);
  });

  test('as an endpoint: read without it, or refused without it', () => {
    let shown: string;
    try {
      const { typed, ...endpoint } = parseEndpoint(form);
      expect(typed).toBe(form);
      shown = JSON.stringify(endpoint);
    } catch (error) {
      expect(error).toBeInstanceOf(TeleportError);
      shown = JSON.stringify([(error as TeleportError).message, (error as TeleportError).hint]);
    }
    expect(shown).not.toContain(SECRET);
  });

  test('on a command line: whole, quoted, decoded or as a piece', () => {
    for (const words of [[form], [`--proxy=${form}`], ['--proxy', form], [`--bogus=${form}`]]) {
      const redact = redactorOf(words, {});
      for (const said of [
        form,
        JSON.stringify(form),
        `'${form}'`,
        `${words[0]}`,
        `dial ${decodeURIComponent(form.replace(/%(?![0-9a-f]{2})/gi, '%25'))}: no`,
      ]) {
        expect(redact(`tsh: error: unexpected ${said}`)).not.toContain(SECRET);
      }
      // A piece of it, where somebody takes that for a host.
      if (!/(%|b)S3c/.test(form.replace('%20', ' ')))
        expect(redact(`lookup ${SECRET}@h: no such host`)).not.toContain(SECRET);
    }
  });

  test('in the environment', () => {
    for (const name of ['HTTPS_PROXY', 'http_proxy', 'AWS_ENDPOINT_URL', 'TELEPORT_PROXY', 'AWS_PROFILE']) {
      expect(redactorOf([], { [name]: form })(`cannot use ${form}`)).not.toContain(SECRET);
    }
  });

  test('as the address of a database: refused, not kept', () => {
    const database = (protocol: string): Database => ({
      kind: 'db',
      version: 'v3',
      metadata: { name: 'd' },
      spec: { protocol, uri: form },
    });
    for (const protocol of ['postgres', 'mysql']) {
      expect(() => checkDatabase(database(protocol))).toThrow(
        expect.objectContaining({
          message: expect.not.stringContaining(SECRET),
          hint: expect.stringContaining('HOST:PORT'),
        }),
      );
    }
  });

  test('in a field of the log that is an address', () => {
    const lines: string[] = [];
    for (const format of ['text', 'json'] as const) {
      const log = createLogger({ component: 'X', level: 'debug', format, write: (line) => void lines.push(line) });
      log.warn('Cannot reach it.', { uri: form, db_uri: form });
    }
    expect(lines.join('')).not.toContain(SECRET);
    expect(lines).toHaveLength(2);
  });
});

test.each([
  `cannot open postgres://bob:${SECRET}@h:5432/x now`,
  `invalid "postgres://bob:a b/${SECRET}@h/x", sorry`,
  `jdbc:redshift://h/dev?user=u&password=${SECRET}&ssl=true is odd`,
  `the string host=h password='a ${SECRET}' user=x`,
  `sslpassword=${SECRET} PGPASSWORD=${SECRET}`,
  `AccessKeyID=${SECRET};SecretAccessKey=${SECRET};SessionToken=${SECRET}`,
  `{"user":"bob","password":"a ${SECRET}"}`,
  JSON.stringify(`{"password":"a ${SECRET}"}`),
  `Authorization: Basic ${SECRET}`,
])('B4 prose: %s', (text) => {
  expect(redactText(text)).not.toContain(SECRET);
  expect(new TeleportError('BadParameter', text, { hint: text })).toMatchObject({
    message: redactText(text),
    hint: redactText(text),
  });
  expect(new TeleportError('BadParameter', text).stack).not.toContain(SECRET);
  const lines: string[] = [];
  for (const format of ['text', 'json'] as const) {
    const log = createLogger({ component: 'X', level: 'debug', format, write: (line) => void lines.push(line) });
    log.error(text, { error: new Error(text), reason: text, more: { text } });
  }
  expect(lines.join('')).not.toContain(SECRET);
});

test.each([
  'Write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, with %25 for a % in either.',
  'the region is missing: jdbc:redshift:iam://CLUSTER:REGION/DATABASE',
  'User: arn:aws:sts::123456789012:assumed-role/Admin/alice@example.com is not authorized to perform: sts:AssumeRole',
  'connected as IAM:alice@example.com',
  'https://proxy.example.com:3080/@name and mailto:bob@example.com',
  'invalid password: too short',
  'Make one on the Auth host: tctl tokens add --type=db; then start with --token=TOKEN.',
  'role:alice@example.com, user: bob@example.com',
  'dial tcp 127.0.0.1:5432: connection refused',
  'postgresql://alice@sales.abc123.us-east-1.redshift.amazonaws.com:5439/dev?sslmode=verify-full',
  'psql "postgres://alice@h:5439/dev?sslcert=/home/CORP/bob@corp.example.com/.tsh/keys/p/alice@example.com-db/x.crt"',
  'postgres://h:5439/dev?sslrootcert=/home/bob@corp.example.com/ca.pem',
])('B4 what is not a secret stays: %s', (text) => {
  expect(redactText(text)).toBe(text);
});

test.each([
  'IAM:alice@example.com',
  'IAMR:role',
  'sales',
  'h:5439',
  'jdbc:redshift:iam://sales:us-east-1/dev',
  'a=b,c=d',
  '[::1]:5432',
])('B4 a value that holds no secret stays: %s', (value) => {
  expect(redactValue(value)).toBe(value);
});

test('B4 a flag whose value is a secret, known or not', () => {
  for (const words of [
    ['--password', SECRET],
    [`--password=${SECRET}`],
    ['--token', SECRET],
    [`--db-password=${SECRET}`],
  ]) {
    expect(redactorOf(words, {})(`unexpected ${SECRET}`)).toBe('unexpected ***');
  }
  expect(redactorOf([], { AWS_SECRET_ACCESS_KEY: SECRET, PGPASSWORD: SECRET })(`x ${SECRET}`)).toBe('x ***');
  expect(redactorOf(['--join-token=nope'], {})('join token "nope" does not exist')).toContain('"nope"');
  expect(redactorOf(['--token=/tmp/token'], {})('cannot read /tmp/token')).toBe('cannot read /tmp/token');
});

test.each([
  [`Unresolved alias (the anchor must be set before the alias): ${SECRET}`, 'Unresolved alias'],
  [`Unexpected scalar token in YAML stream: "${SECRET}" at line 2, column 3:\n\n  password: ]${SECRET}`, 'Unexpected'],
  [`Unresolved tag: !${SECRET} at line 2, column 3:`, 'Unresolved tag'],
  [`Verbatim tags aren't resolved, so !<${SECRET} is invalid.`, "Verbatim tags aren't resolved"],
  [`The !${SECRET}! tag has no suffix`, 'The tag has no suffix'],
  [`Invalid escape sequence \\u${SECRET}`, 'Invalid escape sequence'],
  ['Missing , or : between flow map items at line 1, column 2:', 'Missing , or : between flow map items'],
])('B4 a mistake in YAML: %s', (message, said) => {
  expect(yamlReason(message)).toContain(said);
  expect(yamlReason(message)).not.toContain(SECRET);
  expect(yamlReason(message)).not.toContain(' at line ');
});

test('B4 H1 hostile texts cost little', () => {
  const started = performance.now();
  for (const text of ['password={', "password='", '"://', 'a:', 'password = ', '\\"', 'password="\\']) {
    redactText(text.repeat(50_000));
    // A quick look passes over a text without anything like this.
    redactText(`://${text.repeat(50_000)}`);
    new TeleportError('BadParameter', `password="x" ${text.repeat(50_000)}`);
    redactValue(text.repeat(50_000));
    redactValue(text.repeat(500));
  }
  expect(performance.now() - started).toBeLessThan(10_000);
});
