/** The phases of a rotation, and the refusals word for word as the real `tctl auth rotate` gets them. */
import { nextStep, rotated } from '../../src/auth/rotation.js';
import type { CertAuthority } from '../../src/resources/types.js';

const AT = new Date('2026-11-28T11:52:42Z');
const keys = (name: string) => ({ tls: [{ cert: name }] });
const OLD: CertAuthority = {
  kind: 'cert_authority',
  sub_kind: 'user',
  version: 'v2',
  metadata: { name: 'user' },
  spec: { type: 'user', cluster_name: 'c', active_keys: keys('old'), additional_trusted_keys: {} },
};

async function go(from: CertAuthority, ...phases: string[]): Promise<CertAuthority> {
  let authority = from;
  for (const targetPhase of phases) {
    const request = { targetPhase, mode: 'manual', graceMs: 600_000, now: AT };
    authority = await rotated(authority, request, async () => keys('new'));
  }
  return authority;
}
const held = ({ spec }: CertAuthority) => [
  spec.rotation?.phase,
  spec.active_keys.tls?.[0]?.cert,
  spec.additional_trusted_keys.tls?.[0]?.cert,
];

test('who signs and who is believed, phase by phase', async () => {
  const seen = [];
  let authority = OLD;
  for (const phase of ['init', 'update_clients', 'update_servers', 'standby']) {
    authority = await go(authority, phase);
    seen.push(held(authority));
  }
  expect(seen).toEqual([
    ['init', 'old', 'new'],
    ['update_clients', 'new', 'old'],
    ['update_servers', 'new', 'old'],
    ['standby', 'new', undefined],
  ]);
  expect(authority.spec.rotation).toMatchObject({ state: 'standby', last_rotated: AT.toISOString() });
});

test.each([
  [['init'], ['rollback', 'old', 'new']],
  [
    ['init', 'update_clients'],
    ['rollback', 'old', 'new'],
  ],
  [
    ['init', 'update_clients', 'update_servers'],
    ['rollback', 'old', 'new'],
  ],
])('from %j back: the old keys sign again, and then are alone', async (phases, then) => {
  const back = await go(OLD, ...phases, 'rollback');
  expect(held(back)).toEqual(then);
  expect(back.spec.rotation).toMatchObject({ mode: 'manual', state: 'in_progress' });
  expect(held(await go(back, 'standby'))).toEqual(['standby', 'old', undefined]);
});

test.each([
  [['init'], 'init', 'can not initiate rotation while another is in progress'],
  [['init'], 'standby', 'can not transition to phase "standby" from "init" phase.'],
  [['init'], 'update_servers', 'can only switch to phase update_servers from update_clients, current phase is init'],
  [[], 'update_clients', 'can only switch to phase update_clients from init, current phase is standby'],
  [[], 'rollback', 'can not transition to phase "rollback" from "standby" phase.'],
  [['init', 'rollback'], 'rollback', 'can not transition to phase "rollback" from "rollback" phase.'],
  [[], 'sideways', 'unsupported phase: "sideways"'],
])('after %j, %s is refused', async (phases, phase, text) => {
  await expect(go(await go(OLD, ...phases), phase)).rejects.toThrow(text);
});

test('an automatic one says what comes when, and goes back by hand only', async () => {
  const request = { targetPhase: '', mode: 'auto', graceMs: 600_000, now: AT };
  let authority = await rotated(OLD, request, async () => keys('new'));
  expect(authority.spec.rotation).toMatchObject({ mode: 'auto', phase: 'init', grace_period: '10m0s' });
  const steps = [];
  for (let next = nextStep(authority); next; next = nextStep(authority)) {
    steps.push([next.phase, (next.at.getTime() - AT.getTime()) / 1000]);
    authority = await rotated(authority, { ...request, targetPhase: next.phase }, async () => keys('none'));
  }
  expect(steps).toEqual([
    ['update_clients', 200],
    ['update_servers', 400],
    ['standby', 600],
  ]);
  expect(held(authority)).toEqual(['standby', 'new', undefined]);
  const begun = await rotated(OLD, request, async () => keys('new'));
  expect(nextStep(await go(begun, 'rollback'))).toBeUndefined();
});

test('without a grace period the old keys are gone at once', async () => {
  const request = { targetPhase: 'init', mode: 'auto', graceMs: 0, now: AT };
  expect(held(await rotated(OLD, request, async () => keys('new')))).toEqual(['standby', 'new', undefined]);
  for (const graceMs of [-1, 9e12]) {
    await expect(rotated(OLD, { ...request, graceMs }, async () => keys('x'))).rejects.toThrow(
      'a grace period is 0 to 8760h',
    );
  }
});
