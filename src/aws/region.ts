/**
 * Where the `aws` command and the SDKs look when nobody names a region: AWS_REGION, AWS_DEFAULT_REGION, the profile of the
 * shared files. The SDK for JavaScript does not know the second.
 */

import { messageOf, TeleportError } from '../errors.js';
import { checkRegion, clientConfig } from './clients.js';
import { sdkEnv } from './sdk-env.js';

/** @throws BadParameter when there is none, or what is there cannot be one */
export async function defaultRegion(profile?: string): Promise<string> {
  const { region, cause } = await findRegion(profile);
  if (region !== '') return region;
  throw new TeleportError('BadParameter', 'no AWS region is known', {
    cause,
    hint: 'Give one with --region, or set AWS_REGION, or "region" of the profile in ~/.aws/config.',
  });
}

/** For services that are one for all regions of a partition: any of them will do. @throws BadParameter for what cannot be one */
export async function anyRegion(): Promise<string> {
  return (await findRegion(undefined)).region || 'us-east-1';
}

async function findRegion(profile: string | undefined): Promise<{ region: string; cause?: unknown }> {
  const named = sdkEnv().AWS_REGION || sdkEnv().AWS_DEFAULT_REGION;
  if (named) {
    checkRegion(named);
    return { region: named };
  }
  const { STSClient } = await import('./sdk/sts.js');
  const client = new STSClient(await clientConfig({ region: '', profile }));
  let region = '';
  let cause: unknown;
  try {
    region = await client.config.region();
  } catch (error) {
    cause = error;
    // A name that not even a host could have is refused by the SDK.
    region = /region="([^"]*)"/.exec(messageOf(error))?.[1] ?? '';
  } finally {
    client.destroy();
  }
  if (region !== '') checkRegion(region);
  return { region, cause };
}
