/**
 * Writes `test/support/aws/botocore/` anew from a copy of botocore (a checkout, or its wheel unpacked), by hand and
 * without the network: `node test/tools/run.mjs test/tools/botocore.ts FOLDER`. Of each service model it keeps the
 * operations that the AWS double serves, the shapes that these reach, and no prose; of the partitions what Redshift needs.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { iamActions } from '../support/aws/iam.js';
import { redshiftActions } from '../support/aws/redshift.js';
import { serverlessActions } from '../support/aws/serverless.js';
import { stsActions } from '../support/aws/sts.js';
import { reduce, reducePartitions, writeModel, writePartitions } from './botocore-reduce.js';

const TARGET = 'test/support/aws/botocore';
const SERVICES = [
  ['sts/2011-06-15', stsActions],
  ['iam/2010-05-08', iamActions],
  ['redshift/2012-12-01', redshiftActions],
  ['redshift-serverless/2021-04-21', serverlessActions],
] as const;

const [folder = ''] = process.argv.slice(2);
const data = join(folder, 'botocore', 'data');
if (!existsSync(data)) {
  console.error(
    `usage: node test/tools/run.mjs test/tools/botocore.ts FOLDER\nFOLDER has botocore/data in it; "${folder}" has not.`,
  );
  process.exit(2);
}
for (const [path, actions] of SERVICES) {
  const model = reduce(read(join(data, path, 'service-2.json')), Object.keys(actions));
  writeFileSync(join(TARGET, `${path.split('/')[0]}.json`), writeModel(model));
}

const partitions = reducePartitions(read(join(data, 'partitions.json')), read(join(data, 'endpoints.json')));
writeFileSync(join(TARGET, 'partitions.json'), writePartitions(partitions));

/** A file of the checkout; the wheel has it packed. */
function read(file: string) {
  return JSON.parse(existsSync(file) ? readFileSync(file, 'utf8') : gunzipSync(readFileSync(`${file}.gz`)).toString());
}
