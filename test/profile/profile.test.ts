import { readFileSync } from 'node:fs';
import { parseProfile, profileName, profileText } from '../../src/profile/profile.js';

const recorded = readFileSync('test/fixtures/profile/localhost.yaml', 'utf8');

test('a profile written by real tsh is read and written back byte for byte', async () => {
  const profile = await parseProfile(recorded, 'localhost.yaml');
  expect(profile).toMatchObject({
    webProxyAddr: 'localhost:47080',
    user: 'capture-alice',
    cluster: 'peer.local',
    tlsRoutingEnabled: true,
    sshDialTimeout: '30s',
  });
  expect(profileName(profile!)).toBe('localhost');
  expect(profileText(profile!)).toBe(recorded);
});

test('the smallest profile that tsh takes, also as one line of JSON', async () => {
  const values = { web_proxy_addr: 'p.example.com:443', user: 'alice', cluster: 'c', tls_routing_enabled: true };
  expect(await parseProfile(JSON.stringify(values), 'x.yaml')).toEqual({
    webProxyAddr: 'p.example.com:443',
    user: 'alice',
    cluster: 'c',
    tlsRoutingEnabled: true,
  });
});

test('a file without web_proxy_addr counts as none', async () => {
  expect(await parseProfile('user: alice\n', 'x.yaml')).toBeUndefined();
  expect(await parseProfile('', 'x.yaml')).toBeUndefined();
});

test('what other programs keep in the file survives', async () => {
  const text = 'web_proxy_addr: p:443\ndynamic_forward_ports:\n- "8080"\nnew_thing: {a: 1}\n';
  const profile = await parseProfile(text, 'x.yaml');
  const again = await parseProfile(profileText(profile!), 'x.yaml');
  expect(again!.other).toEqual({ dynamic_forward_ports: ['8080'], new_thing: { a: 1 } });
});

test.each([
  ['web_proxy_addr: p:443\nuser: [oops\n', /line \d/],
  ['web_proxy_addr: p:443\ntls_routing_enabled: maybe\n', /line 2: tls_routing_enabled must be true or false/],
  ['- a\n- b\n', /line 1/],
])('a broken file is named with its line: %j', async (text, pattern) => {
  await expect(parseProfile(text, '/home/a/.tsh/p.yaml')).rejects.toMatchObject({
    code: 'BadParameter',
    message: expect.stringMatching(pattern),
  });
  await expect(parseProfile(text, '/home/a/.tsh/p.yaml')).rejects.toThrow('/home/a/.tsh/p.yaml');
});

test.each(['alice', '007', 'null', 'yes', 'a b', 'o"x', '- x', 'bob@example.com', '1e3', "d'Arc", '#1', 'x: y'])(
  'the user name %j comes back as it was',
  async (user) => {
    const text = profileText({ webProxyAddr: '127.0.0.1:443', user });
    const { parse } = await import('yaml');
    expect(parse(text).user).toBe(user);
    expect(await parseProfile(text, 'x')).toMatchObject({ user, webProxyAddr: '127.0.0.1:443' });
  },
);
