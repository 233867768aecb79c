/** The `aws` command beside our code, on the same double: the same environment is the same person. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { callerIdentity } from '../../src/aws/sts.js';
import type { Principal } from '../support/aws/world.js';
import { type AwsDouble, type AwsKeys, type PolicyDocument, startAwsDouble } from '../support/aws-double.js';
import { peer, run } from './programs.js';

const region = 'us-east-1';
const before = { ...process.env };
const anything: PolicyDocument = { Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };
let aws: AwsDouble;
let alice: Principal;
let home: string;

beforeAll(async () => {
  aws = await startAwsDouble({ pageSize: 2 });
  alice = aws.addUser('alice', { policies: [anything] });
  home = await mkdtemp(join(tmpdir(), 'aws-cli-'));
  await mkdir(join(home, '.aws', 'sso', 'cache'), { recursive: true });
});
afterAll(async () => {
  await aws?.stop();
  await rm(home, { recursive: true });
});
afterEach(() => {
  process.env = { ...before };
});

/** This process and the command are the same from now on: nothing of AWS is set but this. */
function be(vars: Record<string, string>): void {
  const mine = Object.entries(before).filter(([name]) => !name.startsWith('AWS_'));
  const place = { AWS_ENDPOINT_URL: aws.url, AWS_EC2_METADATA_DISABLED: 'true', AWS_REGION: region, HOME: home };
  process.env = { ...Object.fromEntries(mine), ...place, AWS_DEFAULT_REGION: region, ...vars };
}

async function cli(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await run(peer('aws'), [...args, '--output', 'json'], process.env);
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

const keysOf = ({ accessKeyId, secretAccessKey, sessionToken }: AwsKeys) => ({
  AWS_ACCESS_KEY_ID: accessKeyId,
  AWS_SECRET_ACCESS_KEY: secretAccessKey,
  ...(sessionToken ? { AWS_SESSION_TOKEN: sessionToken } : {}),
});
const alone = (keys: AwsKeys) => keysOf(keys) as Record<string, string>;

async function serve(answer: (url: string, headers: Record<string, unknown>) => object | undefined): Promise<Server> {
  const server = createServer((request, response) => {
    const body = answer(request.url ?? '', request.headers);
    response.writeHead(body ? 200 : 401, { 'content-type': 'application/json' }).end(JSON.stringify(body ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

describe('the same environment is the same person', () => {
  const servers: Server[] = [];
  afterAll(() => {
    for (const server of servers) server.close();
  });

  /** Each source: what is set, and who that is. Made when it is used. */
  const sources: Record<string, () => Promise<{ vars: Record<string, string>; profile?: string; arn: RegExp }>> = {
    'environment variables': async () => ({ vars: alone(aws.accessKeyFor(alice)), arn: /:user\/alice$/ }),
    'AWS_PROFILE in the shared files': async () => {
      const keys = aws.accessKeyFor(alice);
      const lines = [
        '[work]',
        `aws_access_key_id=${keys.accessKeyId}`,
        `aws_secret_access_key=${keys.secretAccessKey}`,
      ];
      await writeFile(join(home, '.aws', 'credentials'), lines.join('\n'));
      return { vars: { AWS_PROFILE: 'work' }, arn: /:user\/alice$/ };
    },
    'a profile with a role, an external id and a session name': async () => {
      const trust: PolicyDocument = {
        Statement: [
          {
            Effect: 'Allow',
            Principal: { AWS: alice.arn },
            Action: 'sts:AssumeRole',
            Condition: { StringEquals: { 'sts:ExternalId': 'e1' } },
          },
        ],
      };
      const role = aws.addRole('cli-role', { trust });
      const lines = ['[profile role]', `role_arn=${role.arn}`, 'source_profile=work', 'external_id=e1'];
      await writeFile(join(home, '.aws', 'config'), [...lines, 'role_session_name=me'].join('\n'));
      return { vars: {}, profile: 'role', arn: /assumed-role\/cli-role\/me$/ };
    },
    'a credential process': async () => {
      const keys = aws.accessKeyFor(alice);
      const text = JSON.stringify({ Version: 1, AccessKeyId: keys.accessKeyId, SecretAccessKey: keys.secretAccessKey });
      await writeFile(join(home, 'keys.json'), text);
      await writeFile(
        join(home, '.aws', 'config'),
        `[profile proc]\ncredential_process=cat ${join(home, 'keys.json')}\n`,
      );
      return { vars: { AWS_PROFILE: 'proc' }, arn: /:user\/alice$/ };
    },
    'a web identity': async () => {
      const provider = 'token.actions.githubusercontent.com';
      const token = aws.addWebIdentityToken({ provider, subject: 'repo:x', audience: 'sts.amazonaws.com' });
      const role = aws.addRole('ci', {
        trust: {
          Statement: [
            {
              Effect: 'Allow',
              Principal: { Federated: `arn:aws:iam::${aws.accountId}:oidc-provider/${provider}` },
              Action: 'sts:AssumeRoleWithWebIdentity',
            },
          ],
        },
      });
      const file = join(home, 'token');
      await writeFile(file, token);
      const vars = { AWS_WEB_IDENTITY_TOKEN_FILE: file, AWS_ROLE_ARN: role.arn, AWS_ROLE_SESSION_NAME: 'run' };
      return { vars, arn: /assumed-role\/ci\/run$/ };
    },
    'a container': async () => {
      const keys = aws.accessKeyFor(aws.addRole('task'));
      const server = await serve((_, { authorization }) =>
        authorization === 'Bearer t'
          ? {
              AccessKeyId: keys.accessKeyId,
              SecretAccessKey: keys.secretAccessKey,
              Token: keys.sessionToken,
              Expiration: new Date(Date.now() + 3_600_000).toISOString(),
            }
          : undefined,
      );
      servers.push(server);
      const vars = {
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${urlOf(server)}/creds`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN: 'Bearer t',
      };
      return { vars, arn: /assumed-role\/task\/test-session$/ };
    },
    'an EC2 instance': async () => {
      aws.setInstanceProfile(aws.addRole('node'));
      const vars = { AWS_EC2_METADATA_DISABLED: 'false', AWS_EC2_METADATA_SERVICE_ENDPOINT: aws.url };
      return { vars, arn: /assumed-role\/node\/i-/ };
    },
    'an SSO session': async () => {
      const keys = aws.accessKeyFor(aws.addRole('AWSReservedSSO_dev'));
      const server = await serve((url, headers) =>
        url.startsWith('/federation/credentials?') && headers['x-amz-sso_bearer_token'] === 'sso-token'
          ? {
              roleCredentials: {
                accessKeyId: keys.accessKeyId,
                secretAccessKey: keys.secretAccessKey,
                sessionToken: keys.sessionToken,
                expiration: Date.now() + 3_600_000,
              },
            }
          : undefined,
      );
      servers.push(server);
      const start = 'https://corp.awsapps.com/start';
      const lines = ['[profile sso]', `sso_start_url=${start}`, 'sso_region=us-east-1', 'sso_account_id=123456789012'];
      await writeFile(join(home, '.aws', 'config'), [...lines, 'sso_role_name=dev', 'region=us-east-1'].join('\n'));
      const { createHash } = await import('node:crypto');
      const token = {
        startUrl: start,
        region,
        accessToken: 'sso-token',
        expiresAt: new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+/, ''),
      };
      const file = `${createHash('sha1').update(start).digest('hex')}.json`;
      await writeFile(join(home, '.aws', 'sso', 'cache', file), JSON.stringify(token));
      return {
        vars: { AWS_PROFILE: 'sso', AWS_ENDPOINT_URL_SSO: urlOf(server) },
        arn: /assumed-role\/AWSReservedSSO_dev/,
      };
    },
  };

  test.each(Object.keys(sources))(
    '%s',
    async (source) => {
      const { vars, profile, arn } = await sources[source]!();
      be(vars);
      const theirs = await cli('sts', 'get-caller-identity', ...(profile ? ['--profile', profile] : []));
      const ours = await callerIdentity({ region, profile });
      expect(ours.arn).toMatch(arn);
      expect({ UserId: ours.userId, Account: ours.accountId, Arn: ours.arn }).toEqual(theirs);
    },
    30_000,
  );
});
