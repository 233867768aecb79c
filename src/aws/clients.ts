/**
 * The door to the AWS SDK: clients with the default credential chain, and roles assumed on the way. Everything of the SDK
 * is imported when it is first used. Its errors become ours in `errors.ts`.
 *
 * Source: database-service.md 4.3; AWS SDK for JavaScript v3.
 */

import { messageOf, TeleportError } from '../errors.js';
import { fromAws, withoutCredentials } from './errors.js';
import { isRegion } from './partitions.js';
import { nameProfile, profileSettings } from './profile.js';
import { sdkEnv } from './sdk-env.js';

export { fromAws } from './errors.js';

/** One step of a chain of roles. */
export interface AssumeRole {
  roleArn: string;
  externalId?: string | undefined;
  /** Name of the session; default `teleshift-<milliseconds>`. */
  sessionName?: string | undefined;
  tags?: Record<string, string> | undefined;
}

export interface ClientOptions {
  /** Empty: that of the environment or the profile. */
  region: string;
  /** Roles to assume one after the other, at most two. */
  chain?: readonly AssumeRole[] | undefined;
  /** Profile of the shared files; in this process it is what AWS_PROFILE says from now on. */
  profile?: string | undefined;
}

/** Teleport's own limit: the database's role, then the user's. */
const MAX_CHAIN = 2;
const CONNECT_TIMEOUT_MS = 5_000;
/** Three of them fit into the time that a database login has. */
const REQUEST_TIMEOUT_MS = 8_000;
/** Tries of one call where nobody said how many; a throttled one is tried again with back-off, a denied one is not. */
const MAX_ATTEMPTS = 4;

const SILENT = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** @throws BadParameter `role chain contains more than 2 roles`, and for a region that cannot be one */
export async function clientConfig({ region, chain = [], profile }: ClientOptions) {
  if (chain.length > MAX_CHAIN)
    throw new TeleportError('BadParameter', `role chain contains more than ${MAX_CHAIN} roles`);
  if (region !== '') checkRegion(region);
  // The SDK announces the end of Node 20 on standard error at every start.
  sdkEnv().AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  const { httpsAgent } = await import('./agent.js');
  const providers = await import('./sdk/credentials.js');
  nameProfile(profile);
  const { caBundle, useGlobalEndpoint, hasAttempts } = await profileSettings();
  const settings = {
    ...(region ? { region } : {}),
    ...(useGlobalEndpoint ? { useGlobalEndpoint } : {}),
    ...(hasAttempts ? {} : { maxAttempts: MAX_ATTEMPTS }),
    // Without the last one the SDK only warns when a time limit has passed.
    requestHandler: {
      httpsAgent: httpsAgent(sdkEnv(), CONNECT_TIMEOUT_MS, caBundle),
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
    },
  };
  const chosen = sdkEnv().AWS_PROFILE || undefined;
  const options = {
    ...(chosen ? { profile: chosen } : {}),
    // It would write paragraphs of warnings, for example where keys in the environment are passed over for a profile.
    logger: SILENT,
    // Shared files are rewritten while we run for days: by `aws configure`, by helpers that log in.
    ignoreCache: true,
    clientConfig: settings,
  };
  const found = providers.fromNodeProviderChain(options);
  let credentials: typeof found = (caller) =>
    found(caller).catch(async (error: unknown) => {
      // The chain says only that it found nothing; what is wrong with the profile is said by the profile alone.
      const own =
        chosen &&
        messageOf(error).startsWith('Could not load credentials from any providers') &&
        (await providers
          .fromIni(options)()
          .catch((reason: unknown) => reason));
      throw withoutCredentials(own instanceof Error ? own : error, chosen);
    });
  for (const { roleArn, externalId, sessionName, tags } of chain) {
    credentials = providers.fromTemporaryCredentials({
      masterCredentials: credentials,
      params: {
        RoleArn: roleArn,
        RoleSessionName: sessionName ?? `teleshift-${Date.now()}`,
        ...(externalId ? { ExternalId: externalId } : {}),
        ...(tags ? { Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) } : {}),
      },
      clientConfig: settings,
    }) as typeof credentials;
  }
  return { ...settings, credentials };
}

/** @throws BadParameter for what cannot be the name of a region */
export function checkRegion(region: string): void {
  if (isRegion(region)) return;
  throw new TeleportError('BadParameter', `"${region}" is not an AWS region`, {
    hint: 'Regions look like us-east-1 or eu-central-1.',
  });
}

/**
 * A configuration whose credentials are already there, with every role of the chain assumed: what fails later is the call.
 *
 * @throws TeleportError of the step to the credentials that failed
 */
export async function assumedConfig(options: ClientOptions) {
  const config = await clientConfig(options);
  const identity = await aws(() => config.credentials());
  return { ...config, credentials: async () => identity };
}

/** Run one SDK call. @throws TeleportError */
export async function aws<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw fromAws(error);
  }
}
