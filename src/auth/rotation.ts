/**
 * The phases of a rotation, as changes of one authority. Pure. Source: certificates.md 1.4; Teleport 18.3.0, lib/auth/rotate.go;
 * the texts of refusals as captured.
 *
 *     standby ── init ── update_clients ── update_servers ── standby
 *                  └──────────┴── rollback ──┘                  ▲
 *                                    └──────────────────────────┘
 *
 * In `init` the new keys are believed, and the old ones sign. From `update_clients` on the new ones sign, and the old ones are
 * believed, until `standby` drops them; `rollback` lets the old ones sign again and drops the new ones after that.
 */
import { randomUUID } from 'node:crypto';
import { formatDurationMs } from '../duration.js';
import { TeleportError } from '../errors.js';
import type { CaKeySet, CertAuthority, Rotation, RotationPhase } from '../resources/types.js';

export interface RotationRequest {
  /** Empty: `init`. */
  targetPhase: string;
  /** Empty: `manual`. */
  mode: string;
  /** How long an automatic rotation takes. 0: the old keys are dropped at once. */
  graceMs: number;
  now: Date;
}

/** Longest that a rotation may take; ms. Our own limit. */
const MAX_GRACE_MS = 365 * 24 * 3600 * 1000;

/**
 * The authority after the request.
 *
 * @param newKeys  makes keys; called for a new rotation only
 * @throws TeleportError `BadParameter` where the phase does not follow on that of now
 */
export async function rotated(
  authority: CertAuthority,
  request: RotationRequest,
  newKeys: () => Promise<CaKeySet>,
): Promise<CertAuthority> {
  const phase = request.targetPhase || 'init';
  const mode = modeOf(request.mode);
  if (phase === 'init') return await begun(authority, { ...request, mode }, newKeys);
  const { active_keys: active, additional_trusted_keys: additional } = authority.spec;
  const rotation: Rotation = authority.spec.rotation ?? {};
  const current = rotation.phase ?? 'standby';
  const only = (from: RotationPhase): void => {
    if (current === from) return;
    throw refused(`can only switch to phase ${phase} from ${from}, current phase is ${current}`);
  };
  const anyOf = (...from: RotationPhase[]): void => {
    if (!from.includes(current)) throw refused(`can not transition to phase "${phase}" from "${current}" phase.`);
  };
  const inProgress = { ...rotation, state: 'in_progress', phase, mode } as const;
  switch (phase) {
    case 'update_clients':
      only('init');
      return withKeys(authority, additional, active, { ...inProgress, phase });
    case 'update_servers':
      only('update_clients');
      return withKeys(authority, active, additional, { ...inProgress, phase });
    case 'rollback': {
      anyOf('init', 'update_clients', 'update_servers');
      const back: Rotation = { ...inProgress, phase, mode: 'manual' };
      // Before update_clients the old keys still sign.
      return current === 'init'
        ? withKeys(authority, active, additional, back)
        : withKeys(authority, additional, active, back);
    }
    case 'standby':
      anyOf('update_servers', 'rollback');
      return withKeys(authority, active, {}, done(rotation, request.now));
    default:
      throw refused(`unsupported phase: "${phase}"`);
  }
}

async function begun(
  authority: CertAuthority,
  { mode, graceMs, now }: RotationRequest & { mode: 'auto' | 'manual' },
  newKeys: () => Promise<CaKeySet>,
): Promise<CertAuthority> {
  const before = authority.spec.rotation ?? {};
  if (before.state === 'in_progress') throw refused('can not initiate rotation while another is in progress');
  if (graceMs < 0 || graceMs > MAX_GRACE_MS) throw refused('a grace period is 0 to 8760h');
  const keys = await newKeys();
  if (graceMs === 0) return withKeys(authority, keys, {}, done(before, now));
  const after = (part: number) => new Date(now.getTime() + Math.round(graceMs * part)).toISOString();
  return withKeys(authority, authority.spec.active_keys, keys, {
    ...(before.last_rotated ? { last_rotated: before.last_rotated } : {}),
    state: 'in_progress',
    phase: 'init',
    mode,
    current_id: randomUUID(),
    started: now.toISOString(),
    grace_period: formatDurationMs(graceMs),
    ...(mode === 'auto'
      ? { schedule: { update_clients: after(1 / 3), update_servers: after(2 / 3), standby: after(1) } }
      : {}),
  });
}

/** The next step of an automatic rotation, and when it is due; undefined where none is on its way. */
export function nextStep({ spec }: CertAuthority): { phase: RotationPhase; at: Date } | undefined {
  const { state, mode, phase, schedule } = spec.rotation ?? {};
  if (state !== 'in_progress' || mode !== 'auto' || !schedule) return undefined;
  const next = { init: 'update_clients', update_clients: 'update_servers', update_servers: 'standby' } as const;
  const step = next[phase as keyof typeof next];
  return step && { phase: step, at: new Date(schedule[step]) };
}

function done({ current_id: id }: Rotation, now: Date): Rotation {
  return { state: 'standby', phase: 'standby', last_rotated: now.toISOString(), ...(id ? { current_id: id } : {}) };
}

function withKeys(authority: CertAuthority, active: CaKeySet, additional: CaKeySet, rotation: Rotation): CertAuthority {
  const keys = { active_keys: active, additional_trusted_keys: additional };
  return { ...authority, spec: { ...authority.spec, ...keys, rotation } };
}

function modeOf(mode: string): 'auto' | 'manual' {
  if (mode === '' || mode === 'manual') return 'manual';
  if (mode === 'auto') return 'auto';
  throw refused(`unsupported mode: "${mode}"`);
}

const refused = (text: string) => new TeleportError('BadParameter', text);
