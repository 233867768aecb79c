/** The demo's second half: the same Redshift without a cluster, entered with a person's own IAM identity. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AwsDouble } from '../support/aws-double.js';
import type { Result, Stage } from './stage.js';

/** Run one statement as a person would. @param where  flags of the connection */
export type Sql = (db: string, where: string[], text: string, refusal?: RegExp) => Promise<Result>;

export interface AwsPerson {
  /** Keys of the person, and where AWS is. */
  vars: Record<string, string>;
  /** Who signs the certificates of the Redshift doubles, in place of Amazon. */
  caFile: string;
}

export async function makeAwsPerson(stage: Stage, aws: AwsDouble, caPem: string): Promise<AwsPerson> {
  const person = aws.addUser('alice', {
    policies: [
      {
        Statement: [
          {
            Effect: 'Allow',
            Action: [
              'redshift:DescribeClusters',
              'redshift:GetClusterCredentials',
              'redshift:GetClusterCredentialsWithIAM',
              'redshift-serverless:List*',
              'redshift-serverless:GetCredentials',
            ],
            Resource: '*',
          },
          { Effect: 'Deny', Action: 'redshift:GetClusterCredentials', Resource: '*:dbuser:sales/awsuser' },
        ],
      },
    ],
  });
  const caFile = join(stage.dir, 'redshift-ca.pem');
  await writeFile(caFile, caPem);
  return { vars: aws.env(person), caFile };
}

export async function awsStory(stage: Stage, { vars, caFile }: AwsPerson, sql: Sql): Promise<void> {
  const { run, say, step } = stage;
  const before = { ...stage.vars };
  Object.assign(stage.vars, vars);
  say('--- Without a cluster: your own AWS identity\n');
  say('(the environment has keys of the IAM user alice, as after "aws configure")\n');
  await step('tsh login --aws', () => run('tsh', ['login', '--aws', `--ca-file=${caFile}`]));
  await step('tsh db ls of AWS', () => run('tsh', ['db', 'ls']));
  const user = 'select current_user';
  await step('SQL as a database user', () => sql('sales', ['--db-user=analyst'], 'select current_user, version()'));
  await step('SQL as oneself', () => sql('reports', [], user));
  await step('SQL on a pasted endpoint', () => sql('jdbc:redshift:iam://sales:us-east-1/dev', [], user));
  const denied = /not authorized to perform: redshift:GetClusterCredentials/;
  await step('a user that IAM denies', () => sql('sales', ['--db-user=awsuser'], user, denied));
  await step('tsh status', () => run('tsh', ['status']));
  await step('tsh logout of AWS', () => run('tsh', ['logout']));
  for (const name of Object.keys(vars)) stage.vars[name] = before[name];
}
