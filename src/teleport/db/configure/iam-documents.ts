/**
 * What `print-iam` prints, as data: the documents, who gets them, and which words in them are placeholders. Pure. Source:
 * database-service.md 12.2; the reference page "Database Access AWS IAM".
 */
import { arnText, isArn, parseArn } from '../../../aws/arn.js';
import { checkPolicyName, checkRoles, type PolicyBearer } from '../../../aws/iam-names.js';
import {
  agentStatements,
  boundaryStatements,
  exampleRole,
  type IamPlace,
  PLACEHOLDERS,
  ROLE_TYPES,
  type TrustName,
  trusts,
  USER_ROLE_TYPES,
  userRoleStatements,
} from '../../../aws/iam-policy.js';
import { type IamType, pageSpelling } from '../../../aws/iam-types.js';
import { partitionOf } from '../../../aws/partitions.js';
import { documentText, type PolicyDocument, policyDocument, trustDocument } from '../../../aws/policy-document.js';
import { TeleportError } from '../../../errors.js';
import { checkPlaceFlags, checkWanted, type IamArgs, keyIn } from './iam-args.js';
import { namedPolicies, PLACEHOLDER_USER } from './plan.js';

/** One of the four that can be asked for. */
export type Subject = 'agent' | 'user-role' | 'trust' | 'boundary';

export interface PrintedDocument {
  /** Of a policy its name, of a trust policy which of the relationships it is. */
  name: string;
  /** `Create IAM Policy "DatabaseAccess"` */
  title: string;
  document: PolicyDocument;
}

export interface Printed {
  /** Undefined: not known. */
  accountId: string | undefined;
  documents: PrintedDocument[];
  /** Names of the roles or users that get the policies. */
  attachTo: string[];
  placeholders: { text: string; meaning: string }[];
  /** Sentences for the person. */
  notes: string[];
}

export interface DocumentOptions extends IamArgs {
  subject: Subject;
  bearer: PolicyBearer | undefined;
  types: readonly IamType[];
  policyName?: string | undefined;
  workgroupId?: string | undefined;
  externalId?: string | undefined;
}

/** @throws BadParameter for what does not fit together */
export function documentsFor(options: DocumentOptions): Printed {
  const { subject, bearer, types, assumesRoles } = options;
  if (subject === 'agent' || subject === 'user-role') checkWanted(options, types);
  checkPlaceFlags(options, types);
  checkFits(options);
  const place = placeOf(options);
  checkRoles(assumesRoles, place.partition);
  const kmsKey = keyIn(place, options, PLACEHOLDERS.kmsKey);
  const made = MADE[subject](options, place, kmsKey);
  const text = [...made.documents.map(({ document }) => documentText(document)), ...made.attachTo].join('\n');
  return { accountId: bearer?.accountId, notes: [], ...made, placeholders: placeholdersIn(text, options) };
}

type Made = Pick<Printed, 'documents' | 'attachTo'> & { notes?: string[] };

const MADE: Record<Subject, (options: DocumentOptions, place: IamPlace, kmsKey: string | undefined) => Made> = {
  agent({ types, assumesRoles, discovery: discovers, policyName, bearer }, place, kmsKey) {
    const statements = agentStatements({ types, place, assumesRoles, hasExamples: true, discovers, kmsKey });
    const documents = namedPolicies(policyName || 'DatabaseAccess', statements).map(({ name, statements: part }) => ({
      ...policy(name),
      document: policyDocument(part),
    }));
    return { documents, attachTo: [bearer?.name ?? PLACEHOLDER_USER] };
  },
  'user-role'(options, place) {
    const name = options.policyName || 'DatabaseUserAccess';
    checkPolicyName(name);
    const document = policyDocument(userRoleStatements(options.types, place));
    return { documents: [{ ...policy(name), document }], attachTo: userRoles(options) };
  },
  trust(options, place) {
    const resource = `${options.bearer?.kind ?? 'role'}/${options.bearer?.name ?? PLACEHOLDERS.role}`;
    const of = (accountId: string) =>
      options.bearer?.arn ?? arnText({ partition: place.partition, service: 'iam', accountId, resource });
    const external = {
      principal: of(PLACEHOLDERS.externalAccountId),
      externalId: options.externalId ?? PLACEHOLDERS.externalId,
    };
    const all = trusts(of(place.accountId), place, external);
    const documents = (Object.keys(all) as TrustName[]).map((name) => ({
      name,
      title: `Trust policy of ${userRoles(options).map(quoted).join(', ')}: ${TRUST_TITLES[name]}`,
      document: trustDocument(all[name]),
    }));
    return { documents, attachTo: [], notes: ['A role has one trust policy: take the one that fits.'] };
  },
  boundary: ({ bearer }) => ({
    documents: [
      {
        name: 'boundary',
        title: `Permissions boundary of ${quoted(bearer?.name ?? PLACEHOLDERS.role)}, if it has one`,
        document: policyDocument(boundaryStatements()),
      },
    ],
    attachTo: [],
    notes: [
      'A boundary gives no permission, it limits them: it needs this beside everything that the role is allowed, as printed without --boundary.',
    ],
  }),
};

const TRUST_TITLES: Record<TrustName, string> = {
  role: "it trusts the Database Service's own identity",
  account: 'it trusts the account, whose policies then decide',
  'external-account': 'it trusts the Database Service in another account, which has to give the external id',
  ec2: "it trusts the Database Service's own identity, and EC2 instances that have the role themselves",
};

const quoted = (text: string) => JSON.stringify(text);
const policy = (name: string) => ({ name, title: `Create IAM Policy "${name}"` });

/** Roles that people enter as: those that were named, or the page's placeholders. */
function userRoles({ types, assumesRoles }: DocumentOptions): string[] {
  if (assumesRoles.length > 0) return assumesRoles.map((role) => role.slice(role.lastIndexOf('/') + 1));
  const names = ROLE_TYPES.filter((type) => types.includes(type)).map(exampleRole);
  return names.length > 0 ? names : [exampleRole('redshift')];
}

/** Partition and account of the role or user where they are known, else the page's placeholders. */
function placeOf({ bearer, assumesRoles, kmsKey, region, workgroupId }: DocumentOptions): IamPlace {
  const arns = [...assumesRoles, kmsKey ?? ''].filter(isArn);
  const partition =
    bearer?.partition ?? (region ? partitionOf(region) : arns.map((arn) => parseArn(arn)?.partition).find(Boolean));
  return {
    partition: partition ?? 'aws',
    accountId: bearer?.accountId ?? PLACEHOLDERS.accountId,
    region: region || PLACEHOLDERS.region,
    replicationGroup: PLACEHOLDERS.replicationGroup,
    workgroupId: workgroupId || PLACEHOLDERS.workgroupId,
  };
}

function checkFits({ subject, types, assumesRoles }: DocumentOptions): void {
  const names = types.map(pageSpelling).join(', ');
  if (subject === 'user-role' && !types.some((type) => USER_ROLE_TYPES.includes(type))) {
    const isEntered = types.some((type) => ROLE_TYPES.includes(type));
    throw new TeleportError('BadParameter', `--user-role is for --types ${USER_ROLE_TYPES.join(', ')}`, {
      hint: isEntered ? `What a role may do in ${names} is yours to choose; AWS has examples.` : undefined,
    });
  }
  if (subject !== 'trust' && subject !== 'boundary') return;
  if (types.length === 0 || assumesRoles.length > 0 || types.some((type) => ROLE_TYPES.includes(type))) return;
  throw new TeleportError(
    'BadParameter',
    `--${subject} is for types that people enter as an IAM role; ${names} is not one of them`,
    {
      hint: `Those are ${ROLE_TYPES.map(pageSpelling).join(', ')}.`,
    },
  );
}

/** The words of the documents that somebody has to replace. */
function placeholdersIn(text: string, options: DocumentOptions): Printed['placeholders'] {
  const { bearer, region, workgroupId, externalId, assumesRoles } = options;
  const all: [string, string, isGiven?: boolean][] = [
    [PLACEHOLDERS.accountId, 'your AWS account; --role ARN fills it in'],
    [PLACEHOLDERS.externalAccountId, 'AWS account of the Database Service; --role ARN fills it in'],
    [PLACEHOLDERS.role, 'IAM role of the Database Service; --role fills it in', bearer !== undefined],
    [PLACEHOLDER_USER, 'IAM role or user of the Database Service; --role or --user fills it in', bearer !== undefined],
    ...ROLE_TYPES.map((type): [string, string, boolean] => [
      exampleRole(type),
      'IAM role that people enter as; --assumes-roles fills it in',
      assumesRoles.length > 0,
    ]),
    [PLACEHOLDERS.region, 'AWS region; --region fills it in', Boolean(region)],
    [PLACEHOLDERS.replicationGroup, 'name of the replication group or cluster, or *'],
    [PLACEHOLDERS.workgroupId, 'id of the workgroup, or *; --workgroup-id fills it in', Boolean(workgroupId)],
    [PLACEHOLDERS.kmsKey, 'id of the KMS key of the secrets; --kms-key fills it in'],
    [
      PLACEHOLDERS.externalId,
      'external id that both sides have agreed on; --external-id fills it in',
      Boolean(externalId),
    ],
  ];
  return all
    .filter(([word, , isGiven = false]) => !isGiven && new RegExp(`(?<![\\w-])${word}(?![\\w-])`).test(text))
    .map(([word, meaning]) => ({ text: word, meaning }));
}
