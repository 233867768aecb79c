/** The cluster of the tests as a process of its own, which `npm run bench` measures. */
import { startTestCluster } from './cluster.js';

test('it serves, says what it logs, comes back on its ports, and is gone at the end', async () => {
  const cluster = await startTestCluster({ process: {}, users: [{ name: 'alice', roles: ['access'] }] });
  try {
    const { proxy, pid } = cluster.teleport;
    await cluster.login('home', 'alice');
    await cluster.restart();
    expect(cluster.teleport.proxy).toEqual(proxy);
    expect(cluster.teleport.pid).not.toBe(pid);
    expect(cluster.log()).toContain('Database Service is ready');
    expect(await cluster.tsh('home', 'db', 'ls', '--format=json')).toMatchObject({ status: 0, stdout: '[]\n' });
  } finally {
    await cluster.stop();
  }
  expect(() => process.kill(cluster.teleport.pid!, 0)).toThrow('ESRCH');
});
