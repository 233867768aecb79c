/** An agent that dies while it makes, serves or takes away an automatic user, at each piece of the conversation in turn. */
import { expect } from '@jest/globals';
import type { Database } from '../../src/resources/types.js';
import { accountOf, DISABLED, DROP, KEEP, OURS, removeAccount } from '../support/account.js';
import type { Postgres } from '../support/postgres.js';
import type { Relay } from '../support/relay.js';
import { until } from '../support/until.js';
import { role, type TestAgent, USER } from './agent.js';

/** More pieces than any conversation has. */
const MOST_PIECES = 200;

export const MODES: [string, typeof KEEP][] = [
  ['disables', KEEP],
  ['drops', DROP],
];

export interface DyingAgents {
  /** One that dies; its database `far` is behind the relay. */
  start(): Promise<TestAgent>;
  /** The next one. */
  other: TestAgent;
  relay: Relay;
  server: Postgres;
  /** The server as `other` knows it. */
  database: Database;
}

/** Expects that nobody keeps rights, wherever the agent died. @param mode  of automatic users */
export async function dieAtEveryPiece(agents: DyingAgents, mode: typeof KEEP): Promise<void> {
  const { start, other, relay, server } = agents;
  other.roles = [role({ db_roles: ['reader', 'writer'], db_users: [] }, mode)];
  for (let piece = 1; ; piece++) {
    const dying = await start();
    dying.roles = other.roles;
    Object.assign(relay, { isDown: false, breakAt: relay.pieces() + piece });
    await useAndLeave(dying);
    const isThrough = !relay.isDown;
    relay.cut();
    await dying.stop();
    await until('nobody is in a session', async () => {
      const open = await server.query('SELECT 1 FROM pg_stat_activity WHERE usename = $1', { values: [USER] });
      return open.length === 0 || undefined;
    });
    await expectRight(agents, mode === DROP);
    await removeAccount(server, USER);
    if (isThrough) return;
    expect(piece).toBeLessThan(MOST_PIECES);
  }
}

/** As far as it comes. */
async function useAndLeave(dying: TestAgent): Promise<void> {
  await dying.as({ serviceName: 'far' });
  const session = await dying.session({ user: USER, database: 'dev' }).catch((error: unknown) => error as Error);
  if (session instanceof Error) return;
  await session.query('select 1').catch(() => {});
  session.duplex.resume();
  session.close();
  await dying.idle();
}

/** The next one finds what was left and puts it right, and the user comes in again. */
async function expectRight({ other, server, database }: DyingAgents, isDropped: boolean): Promise<void> {
  const account = () => accountOf(server, USER);
  const left = await account();
  if (left) expect(left.roles).toContain(OURS);
  const swept: unknown[] = [];
  await other.context.autoUsers.sweep(database, (...end) => swept.push(end));
  expect(swept).toEqual(left?.isOpen ? [[USER, { isDropped }]] : []);
  expect(await account()).toEqual(left && !isDropped ? DISABLED : undefined);
  const session = await other.session({ user: USER, database: 'dev' });
  session.close();
  await other.idle();
  expect(await account()).toEqual(isDropped ? undefined : DISABLED);
}
