/** The way of an agent's records to Auth: one call, whose answer names the records that Auth does not take. */
import type { AuthClient } from '../api/client.js';
import type { Ship } from '../audit/shipper.js';

export const shipTo =
  (auth: Pick<AuthClient, 'databaseAgent'>): Ship =>
  async (events, signal) => {
    const { refused } = await auth.databaseAgent.emitAuditEvents({ events }, { signal });
    return refused.map(({ index, reason }) => ({ index, reason }));
  };
