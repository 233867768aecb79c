/**
 * A profile of the shared files, in full: `--aws-profile=X` means what `AWS_PROFILE=X` means.
 *
 * The SDK reads endpoints, services, FIPS, dual-stack, retries and the clients inside its credential providers from the
 * profile that AWS_PROFILE names, and takes no other word for most of them. It does not read `ca_bundle` and
 * `sts_regional_endpoints` at all; the `aws` command does.
 *
 * Source: AWS SDKs and Tools Reference Guide, "Settings reference"; AWS CLI user guide, "Configuration settings".
 */
import { sdkEnv } from './sdk-env.js';

/** What AWS_PROFILE was before we set it, while it is ours. */
let standIn: { ours: string; before: string | undefined } | undefined;

/**
 * From now on every part of the SDK reads this profile. A process has one identity: the profile of the last call holds.
 *
 * @param profile  undefined: what the environment says
 */
export function nameProfile(profile: string | undefined): void {
  if (standIn && sdkEnv().AWS_PROFILE === standIn.ours) set(standIn.before);
  standIn = undefined;
  if (!profile || profile === sdkEnv().AWS_PROFILE) return;
  standIn = { ours: profile, before: sdkEnv().AWS_PROFILE };
  set(profile);
}

export interface ProfileSettings {
  /** File of the authorities that sign AWS's own certificates, and which setting names it. */
  caBundle: { file: string; from: string } | undefined;
  /** Ask STS at its one global host, where the region has it. */
  useGlobalEndpoint: boolean;
  /** How often a call is tried was said; the SDK reads how often. */
  hasAttempts: boolean;
  /** Where STS is called in place of AWS's own host, and which setting says so; empty: nowhere else. */
  stsEndpoint: { url: string; from: string };
}

/** Of the profile that is named now, where the environment does not say otherwise. */
export async function profileSettings(): Promise<ProfileSettings> {
  const { loadConfig } = await import('./sdk/config.js');
  const read = (variable: string, setting: string) =>
    loadConfig<string>(
      {
        environmentVariableSelector: (vars) => vars[variable] || undefined,
        configFileSelector: (profile) => profile[setting],
        default: '',
      },
      { ignoreCache: true },
    )();
  const [file, endpoints, attempts, ofSts, ofAll] = await Promise.all([
    read('AWS_CA_BUNDLE', 'ca_bundle'),
    read('AWS_STS_REGIONAL_ENDPOINTS', 'sts_regional_endpoints'),
    read('AWS_MAX_ATTEMPTS', 'max_attempts'),
    read('AWS_ENDPOINT_URL_STS', ''),
    read('AWS_ENDPOINT_URL', 'endpoint_url'),
  ]);
  const ofAllFrom = sdkEnv().AWS_ENDPOINT_URL ? 'AWS_ENDPOINT_URL' : 'endpoint_url of the AWS profile';
  const from = sdkEnv().AWS_CA_BUNDLE ? 'AWS_CA_BUNDLE' : 'ca_bundle of the AWS profile';
  return {
    caBundle: file ? { file, from } : undefined,
    useGlobalEndpoint: endpoints.toLowerCase() === 'legacy',
    hasAttempts: attempts !== '',
    stsEndpoint: ofSts ? { url: ofSts, from: 'AWS_ENDPOINT_URL_STS' } : { url: ofAll, from: ofAllFrom },
  };
}

function set(profile: string | undefined): void {
  if (profile === undefined) delete sdkEnv().AWS_PROFILE;
  else sdkEnv().AWS_PROFILE = profile;
}
