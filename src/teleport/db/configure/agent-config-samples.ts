/** Commented samples of an agent's configuration, for the sections that nobody asked for. Data only. */

/** Lines of a section that is commented out, two columns in. */
function sample(text: string): readonly string[] {
  return text
    .replace(/^\n|\n$/g, '')
    .split('\n')
    .map((line) => (line === '' ? '' : `  # ${line}`).replace(/ +$/, ''));
}

export const samples = {
  resources: sample(`
Serve "db" resources that "tctl create" or a discovery service made, by their labels.
resources:
- labels:
    "env": "dev"
  # A role to assume on the way to these databases.
  aws:
    assume_role_arn: "arn:aws:iam::123456789012:role/example-role-name"
    external_id: "example-external-id"
`),

  aws: sample(`
Databases that are looked up in AWS: Redshift clusters and Redshift Serverless workgroups.
aws:
- types: ["redshift", "redshift-serverless"]
  # Where to look.
  regions: ["us-west-1", "us-east-2"]
  # Tags that a database must have in AWS.
  tags:
    "*": "*"
`),

  azure: sample(`
Databases that are looked up in Azure. Read over: this program does not serve them.
azure:
- types: ["postgres"]
  regions: ["eastus", "westus"]
`),

  databases: sample(`
Databases that are always served.
databases:
# A Redshift cluster.
- name: redshift
  description: Redshift cluster
  protocol: postgres
  # The endpoint as the AWS console shows it; this host must reach it.
  uri: redshift-cluster-example-1.abcdefghijklmnop.us-west-1.redshift.amazonaws.com:5439
  aws:
    region: us-west-1
    redshift:
      cluster_id: redshift-cluster-example-1
# A Redshift Serverless workgroup.
- name: redshift-serverless
  description: Redshift Serverless workgroup
  protocol: postgres
  uri: workgroup-1.123456789012.us-west-1.redshift-serverless.amazonaws.com:5439
# A PostgreSQL server of one's own, with certificates of "tctl auth sign --format=db".
- name: self-hosted
  description: PostgreSQL server
  protocol: postgres
  uri: database.example.com:5432
`),
} as const;
