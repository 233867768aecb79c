/** Who the credentials belong to. */
import { aws, type ClientOptions, clientConfig } from './clients.js';

export interface CallerIdentity {
  accountId: string;
  arn: string;
  userId: string;
}

export async function callerIdentity(options: ClientOptions): Promise<CallerIdentity> {
  const { STSClient, GetCallerIdentityCommand } = await import('./sdk/sts.js');
  const client = new STSClient(await clientConfig(options));
  try {
    const { Account = '', Arn = '', UserId = '' } = await aws(() => client.send(new GetCallerIdentityCommand({})));
    return { accountId: Account, arn: Arn, userId: UserId };
  } finally {
    client.destroy();
  }
}
