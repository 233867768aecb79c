/**
 * What a hostile HTTP client, or a page in somebody's browser, can say to the Proxy's web port, byte by byte, and the
 * status of each answer: in `web.txt`, an attack a line. One request never has two answers, nothing that was sent leads a
 * browser elsewhere or comes back as script, and no page of another origin may read or write. `npm run golden` writes the
 * file anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { RATE_LIMITS } from '../../src/proxy/web/limits.js';
import { startTestProxy, type TestProxy } from '../proxy/test-proxy.js';

const TABLE = 'test/attacks/web.txt';

let peer: TestProxy;
beforeAll(async () => {
  peer = await startTestProxy();
});
afterAll(() => peer.close());

const HOST = 'Host: localhost\r\n';
const get = (path: string, ...headers: string[]) =>
  `GET ${path} HTTP/1.1\r\n${HOST}${headers.map((header) => `${header}\r\n`).join('')}\r\n`;
const post = (path: string, headers: readonly string[], body: string) =>
  `POST ${path} HTTP/1.1\r\n${HOST}${headers.map((header) => `${header}\r\n`).join('')}\r\n${body}`;
/** A whole second request, which must never be answered when it stands inside the first. */
const SECOND = get('/webapi/find');
const LOGIN = '/webapi/mfa/login/begin';
const JSON_TYPE = 'Content-Type: application/json';
const BODY = '{"user":"alice","pass":"right"}';

const SMUGGLING: Record<string, string> = {
  'Content-Length and Transfer-Encoding': post(
    LOGIN,
    ['Content-Length: 4', 'Transfer-Encoding: chunked'],
    `0\r\n\r\n${SECOND}`,
  ),
  'Transfer-Encoding and Content-Length': post(
    LOGIN,
    ['Transfer-Encoding: chunked', 'Content-Length: 4'],
    `0\r\n\r\n${SECOND}`,
  ),
  'two lengths': post(LOGIN, ['Content-Length: 0', `Content-Length: ${SECOND.length}`], SECOND),
  'two lengths in one line': post(LOGIN, [`Content-Length: 0, ${SECOND.length}`], SECOND),
  'a length with a sign': post(LOGIN, ['Content-Length: +0'], SECOND),
  'a length in hexadecimal': post(LOGIN, ['Content-Length: 0x0'], SECOND),
  'a negative length': post(LOGIN, ['Content-Length: -1'], SECOND),
  'a length beyond all numbers': post(LOGIN, ['Content-Length: 99999999999999999999'], SECOND),
  'a length with spaces inside': post(LOGIN, ['Content-Length: 1 2'], SECOND),
  'an unknown transfer coding': post(LOGIN, ['Transfer-Encoding: xchunked'], SECOND),
  'chunked twice': post(LOGIN, ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], `0\r\n\r\n${SECOND}`),
  'chunked and identity': post(LOGIN, ['Transfer-Encoding: chunked, identity'], `0\r\n\r\n${SECOND}`),
  'a space before the colon': post(LOGIN, ['Content-Length : 4'], SECOND),
  'a folded line': post(LOGIN, ['Transfer-Encoding:', ' chunked'], `0\r\n\r\n${SECOND}`),
  'a vertical tab in the coding': post(LOGIN, ['Transfer-Encoding: \x0bchunked'], `0\r\n\r\n${SECOND}`),
  'a NUL in a header': get('/webapi/find', 'X-A: a\0b'),
  'a bare CR in a header': get('/webapi/find', 'X-A: a\rX-B: b'),
  'bare LF as line ends': `GET /webapi/find HTTP/1.1\nHost: localhost\n\n`,
  'a chunk size that is no number': post(
    LOGIN,
    [JSON_TYPE, 'Transfer-Encoding: chunked'],
    `zz\r\n${BODY}\r\n0\r\n\r\n`,
  ),
  'a chunk size of 2^64': post(
    LOGIN,
    [JSON_TYPE, 'Transfer-Encoding: chunked'],
    `ffffffffffffffff1\r\n${BODY}\r\n0\r\n\r\n`,
  ),
  'a chunk that ends elsewhere': post(LOGIN, [JSON_TYPE, 'Transfer-Encoding: chunked'], `1\r\n${BODY}\r\n0\r\n\r\n`),
  'a chunk extension of 100 kB': post(
    LOGIN,
    [JSON_TYPE, 'Transfer-Encoding: chunked'],
    `1;${'a'.repeat(100_000)}\r\n{\r\n0\r\n\r\n`,
  ),
  'HTTP/0.9': 'GET /webapi/find\r\n\r\n',
  'HTTP/2.0 in the request line': `GET /webapi/find HTTP/2.0\r\n${HOST}\r\n`,
  'a request line with three spaces': `GET  /webapi/find  HTTP/1.1\r\n${HOST}\r\n`,
  'an unknown method': `STEAL /webapi/find HTTP/1.1\r\n${HOST}\r\n`,
  'a method in small letters': `get /webapi/find HTTP/1.1\r\n${HOST}\r\n`,
  '5,000 headers': get('/webapi/find', ...Array.from({ length: 5_000 }, (_, i) => `x${i}: y`)),
  'a header of 100 kB': get('/webapi/find', `x: ${'y'.repeat(100_000)}`),
  'a path of 100 kB': get(`/webapi/${'a'.repeat(100_000)}`),
};

const TARGETS: Record<string, string> = {
  'dots out of the web folder': get('/web/../../../../etc/passwd'),
  'dots in the middle': get('/webapi/ping/../../../etc/passwd'),
  'encoded dots': get('/web/%2e%2e/%2e%2e/etc/passwd'),
  'encoded slashes': get('/web/..%2f..%2fetc%2fpasswd'),
  'twice encoded': get('/web/%252e%252e%252fetc%252fpasswd'),
  backslashes: get('/web/..\\..\\etc\\passwd'),
  'overlong UTF-8': get('/web/%c0%ae%c0%ae/etc/passwd'),
  'a NUL in the path': get('/web/login%00.js'),
  'a broken escape': get('/web/%zz'),
  'an escape that is cut': get('/web/invite/%'),
  'a line feed in the path': get('/web/invite/a%0d%0aSet-Cookie:%20a=b'),
  'a path of slashes': get('//etc/passwd'),
  'another host as the path': get('//evil.example.com'),
  'another host behind a backslash': get('/\\evil.example.com'),
  'another host under /web': get('/web//evil.example.com/%2e%2e'),
  'a whole URL of another host': get('http://evil.example.com/'),
  'a whole URL of a file': get('file:///etc/passwd'),
  'CONNECT to elsewhere': `CONNECT evil.example.com:443 HTTP/1.1\r\n${HOST}\r\n`,
  TRACE: `TRACE / HTTP/1.1\r\n${HOST}X-Secret: a\r\n\r\n`,
  'OPTIONS of everything': `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`,
  'no Host': 'GET /web HTTP/1.1\r\n\r\n',
  'two Hosts': `GET /web HTTP/1.1\r\n${HOST}Host: evil.example.com\r\n\r\n`,
  'a script as the Host': 'GET /web HTTP/1.1\r\nHost: a"><script>alert(1)</script>\r\n\r\n',
  'a Host with a user in it': 'GET / HTTP/1.1\r\nHost: localhost@evil.example.com\r\n\r\n',
  'another Host for the redirect': 'GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n',
  'a forwarded Host': get('/', 'X-Forwarded-Host: evil.example.com', 'Forwarded: host=evil.example.com'),
  'a script as the token of an invitation': get('/web/invite/<script>alert(1)</script>'),
  'a script as the token, escaped': get('/web/invite/%3Cscript%3Ealert(1)'),
  'dots behind the style': get('/web/pages.css/../../../../etc/passwd'),
  'another style': get('/web/pages.css%00.js'),
};

/** What a page of another origin makes a browser send; the browser must get no leave to read, and nothing may happen. */
const EVIL = 'Origin: https://evil.example.com';
const OTHER_ORIGIN: Record<string, string> = {
  'a form': post(LOGIN, [EVIL, 'Content-Type: application/x-www-form-urlencoded', 'Content-Length: 6'], 'user=a'),
  'JSON as plain text': post(LOGIN, [EVIL, 'Content-Type: text/plain', `Content-Length: ${BODY.length}`], BODY),
  'JSON without a type': post(LOGIN, [EVIL, `Content-Length: ${BODY.length}`], BODY),
  'a form with files': post(
    LOGIN,
    [EVIL, 'Content-Type: multipart/form-data; boundary=b', 'Content-Length: 4'],
    '--b-',
  ),
  'the question before JSON': `OPTIONS ${LOGIN} HTTP/1.1\r\n${HOST}${EVIL}\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n`,
  'a read with cookies': get('/webapi/ping', EVIL, 'Cookie: a=b'),
  'a read of the configuration script': get('/web/config.js', EVIL, 'Sec-Fetch-Site: cross-site'),
  'a form for an invitation': post(
    '/web/invite/guess',
    [EVIL, 'Content-Type: application/x-www-form-urlencoded', 'Content-Length: 10'],
    'password=a',
  ),
  'an invitation as plain text': post(
    '/web/invite/guess',
    [EVIL, 'Content-Type: text/plain', 'Content-Length: 1'],
    'a',
  ),
  'a read of the script of the pages': get('/web/pages.js', EVIL, 'Sec-Fetch-Site: cross-site'),
  'a new password': `PUT /webapi/users/password/token HTTP/1.1\r\n${HOST}${EVIL}\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}`,
};

/** What is asked once the attack has been answered: its answer comes last, after any that was smuggled in. */
const LAST = get('/webapi/last', 'Connection: close');

/** Everything that comes back until the Proxy hangs up, which the last question asks it to do. */
async function said(bytes: string, port = peer.port): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  const chunks: Buffer[] = [];
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {}).on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  socket.write(bytes, 'latin1');
  await Promise.race([new Promise((resolve) => socket.once('data', resolve)), closed]);
  socket.write(LAST, 'latin1');
  await closed;
  return Buffer.concat(chunks).toString('latin1');
}

const statusesOf = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => status!);

test('every attack has the answer that the table says, and one at most', async () => {
  const lines: string[] = [];
  for (const [kind, attacks] of Object.entries({
    smuggling: SMUGGLING,
    target: TARGETS,
    'other origin': OTHER_ORIGIN,
  })) {
    for (const [name, bytes] of Object.entries(attacks)) {
      const text = await said(bytes);
      const statuses = statusesOf(text);
      const isOpen = statuses.length > 1 && statuses.pop() === '404';
      const [, where] = /^location: (.*)$/im.exec(text) ?? [];
      lines.push(
        `${`${kind}: ${name}`.padEnd(56)} ${statuses.join(', ')}${isOpen ? '' : ' closed'}${where ? ` ${where.trim()}` : ''}`,
      );
      expect([name, statuses.length]).toEqual([name, Math.min(statuses.length, 1)]);
      expect([name, text]).toEqual([
        name,
        expect.not.stringMatching(/root:x:0|<script>alert|^access-control-|^set-cookie/im),
      ]);
      expect([name, where ?? '/web']).toEqual([name, '/web']);
    }
  }
  // Nobody was logged in, and Auth was not asked.
  expect(peer.auth.calls.filter((call) => 'user' in call)).toEqual([]);
  const actual = `${lines.join('\n')}\n`;
  if (process.env.GOLDEN === '1') writeFileSync(TABLE, actual);
  expect(actual).toBe(readFileSync(TABLE, 'utf8'));
  expect(statusesOf(await said(get('/webapi/ping', 'Connection: close')))).toEqual(['200']);
});

describe('guessing', () => {
  test('an invitation: after the burst each address waits, and the right one is refused too', async () => {
    const one = await startTestProxy();
    const ask = async (token: string) =>
      statusesOf(
        await said(
          `POST /web/invite/${token} HTTP/1.1\r\n${HOST}Content-Length: 0\r\nConnection: close\r\n\r\n`,
          one.port,
        ),
      );
    try {
      const guesses: string[] = [];
      let right: string[] = [];
      // With time there is another guess, which may come between the last one and the right one.
      for (let left = 200; left > 0 && right[0] !== '429'; left--) {
        guesses.push(...(await ask(`guess-${left}`)));
        if (guesses.at(-1) === '429') right = await ask('invite-token');
      }
      expect(guesses.indexOf('429')).toBeGreaterThanOrEqual(RATE_LIMITS.normal.burst);
      expect(right).toEqual(['429']);
    } finally {
      await one.close();
    }
  });
});
