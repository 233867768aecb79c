/** Where the SDK looks when nobody names a region: AWS_REGION, AWS_DEFAULT_REGION, the profile of the shared files. */
import { TeleportError } from '../errors.js';

/** @throws BadParameter when there is none */
export async function defaultRegion(profile?: string): Promise<string> {
  const { STSClient } = await import('@aws-sdk/client-sts');
  const client = new STSClient(profile ? { profile } : {});
  try {
    return await client.config.region();
  } catch (error) {
    throw new TeleportError('BadParameter', 'no AWS region is known', {
      cause: error,
      hint: 'Give one with --region, or set AWS_REGION, or "region" of the profile in ~/.aws/config.',
    });
  } finally {
    client.destroy();
  }
}
