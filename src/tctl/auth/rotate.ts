/** `tctl auth rotate`: new keys for an authority, phase by phase or by itself. Source: cli.md 5; certificates.md 1.4. */
import type { Env } from '../../cli/env.js';
import { printLine } from '../../cli/output.js';
import { TeleportError } from '../../errors.js';
import { type AdminArgs, connectAdmin } from '../connect.js';

export interface RotateArgs extends AdminArgs {
  interactive: boolean;
  manual: boolean;
  type?: string | undefined;
  phase?: string | undefined;
  gracePeriod: number;
}

export async function run(env: Env, args: RotateArgs): Promise<void> {
  const { type, phase: targetPhase = '', manual, gracePeriod } = args;
  if (!type || args.interactive) {
    const why = env.isTty.stdin ? '' : ', not starting interactive mode because stdin does not appear to be a terminal';
    throw new TeleportError('BadParameter', `required flag --type not provided${why}`, {
      hint: 'There is no interactive mode here. For example: tctl auth rotate --type=user --grace-period=24h',
    });
  }
  await using client = await connectAdmin(env, args);
  const mode = manual ? 'manual' : 'auto';
  await client.trust.rotateCertAuthority({
    type,
    targetPhase,
    mode,
    gracePeriod: { seconds: BigInt(Math.floor(gracePeriod / 1000)), nanos: (gracePeriod % 1000) * 1e6 },
  });
  printLine(
    env,
    targetPhase === ''
      ? "Initiated certificate authority rotation. To check status use 'tctl status'"
      : `Updated rotation phase to ${JSON.stringify(targetPhase)}. To check status use 'tctl status'`,
  );
}
