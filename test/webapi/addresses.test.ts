/** Tests: src/profile/tsh-config.ts, src/webapi/error.ts. */
import { headersFor } from '../../src/profile/tsh-config.js';
import { profileOfPing } from '../../src/webapi/addresses.js';
import { webApiError } from '../../src/webapi/error.js';

test('one port for everything, announced by the proxy, replaces what was typed', () => {
  const proxy = {
    tls_routing_enabled: true,
    kube: { enabled: true, listen_addr: '0.0.0.0:3080' },
    ssh: { listen_addr: '0.0.0.0:443', public_addr: 'proxy.example.com:443', dial_timeout: 30e9 },
    db: { postgres_listen_addr: '0.0.0.0:443', mysql_listen_addr: '0.0.0.0:443' },
  };
  expect(profileOfPing({ proxy }, '10.0.0.1:443')).toEqual({
    webProxyAddr: 'proxy.example.com:443',
    sshProxyAddr: 'proxy.example.com:443',
    kubeProxyAddr: 'proxy.example.com:443',
    postgresProxyAddr: 'proxy.example.com:443',
    mysqlProxyAddr: 'proxy.example.com:443',
    tlsRoutingEnabled: true,
    sshDialTimeout: '30s',
  });
});

test('separate ports take the port of each listener at the host of the web address', () => {
  const proxy = {
    ssh: { listen_addr: '0.0.0.0:3023', ssh_public_addr: 'ssh.example.com' },
    db: { postgres_listen_addr: '0.0.0.0:5555' },
    kube: { enabled: true, listen_addr: '0.0.0.0:3026' },
  };
  expect(profileOfPing({ proxy }, 'p:3080')).toMatchObject({
    webProxyAddr: 'p:3080',
    sshProxyAddr: 'ssh.example.com:3023',
    postgresProxyAddr: 'p:5555',
    kubeProxyAddr: 'p:3026',
  });
  expect(profileOfPing({}, 'p:3080')).toMatchObject({ sshProxyAddr: 'p:3023', postgresProxyAddr: 'p:3080' });
});

test('error answers: code by status, texts newest first, other bodies as they are', () => {
  expect(webApiError(403, '{"error":{"message":"invalid credentials"}}')).toMatchObject({
    code: 'AccessDenied',
    message: 'invalid credentials',
  });
  expect(webApiError(429, '{"error":{"message":"inner"},"messages":["first","last"]}').message).toBe(
    'last\n\tfirst\n\t\tinner',
  );
  expect(webApiError(502, '<html>bad gateway</html>')).toMatchObject({ code: 'ConnectionProblem' });
  expect(webApiError(500, '').message).toBe('HTTP status 500 Internal Server Error');
});

test('headers by glob over host:port, the first entry wins', () => {
  const config = {
    aliases: {},
    addHeaders: [
      { proxy: '*.example.com:443', headers: { 'X-Team': 'blue' } },
      { proxy: '*', headers: { 'X-Team': 'red', 'X-All': '1' } },
    ],
  };
  expect(headersFor(config, 'p.example.com:443')).toEqual({ 'X-Team': 'blue', 'X-All': '1' });
  expect(headersFor(config, 'p.example.org:443')).toEqual({ 'X-Team': 'red', 'X-All': '1' });
});
