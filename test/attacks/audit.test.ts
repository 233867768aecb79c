/** What a person can put into a record of the audit log: never a line of their own, and never one that hides another. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type AuditEvent, auditEvent } from '../../src/audit/events.js';
import { readAuditEvents } from '../../src/audit/read.js';
import { openAuditLog } from '../../src/audit/writer.js';

let dir: string;
const now = () => new Date('2026-11-21T12:00:00Z');
const context = { clusterName: 'root.example.com', now };
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'audit-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const FORGED = '{"ei":0,"event":"user.login","code":"T1000I","user":"admin","success":true}';

test.each([
  ['a line feed and an event', `x\n${FORGED}\n`],
  ['a carriage return', `x\r${FORGED}\r`],
  ['both', `x\r\n${FORGED}\r\n`],
  ['other ends of lines', `x\u2028${FORGED}\u2029${FORGED}\u0085`],
  ['form feed and vertical tab', `x\f${FORGED}\v`],
  ['quotes and braces', `"}\n${FORGED}`],
  ['a NUL', `x\0${FORGED}`],
  ['half a surrogate pair', `\ud800${FORGED}\udc00`],
  ['keys of JSON', '__proto__'],
  ['a backslash at the end', 'x\\'],
])('%s stays inside its event', async (_, text) => {
  const log = await openAuditLog({ dir, now });
  const fields = { db_query: text, db_user: text, db_uri: '', user: text, 'client.ip': text };
  await log.append([auditEvent('db.session.query', 'ok', fields, context)]);
  await log.append([auditEvent('user.login', 'ok', { user: 'alice', success: true }, context)]);
  await log.close();

  const [file] = readdirSync(dir);
  const lines = readFileSync(join(dir, file!), 'utf8').split(/\r\n|[\n\r]/);
  expect(lines.slice(0, -1).map((line) => JSON.parse(line).event)).toEqual(['db.session.query', 'user.login']);
  expect(lines.at(-1)).toBe('');
  const events: AuditEvent[] = [];
  const span = { dir, from: new Date('2026-11-21T00:00:00Z'), to: new Date('2026-11-22T00:00:00Z') };
  for await (const event of readAuditEvents(span)) events.push(event);
  expect(events.map(({ event, code }) => `${event} ${code}`)).toEqual(['db.session.query TDB02I', 'user.login T1000I']);
  expect(events[0]!.db_query).toBe(text);
});
