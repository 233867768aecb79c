/**
 * `teleport db configure aws print-iam`: the policies around a Database Service, offline. Source: cli.md 7.6,
 * database-service.md 12.
 */
import { parseIamTypes } from '../../../aws/iam-types.js';
import { documentText } from '../../../aws/policy-document.js';
import type { Env } from '../../../cli/env.js';
import { jsonText, print, printLine, printWarning } from '../../../cli/output.js';
import { refuseSecrets } from '../../../cli/refuse-secrets.js';
import { TeleportError } from '../../../errors.js';
import type { IamArgs } from './iam-args.js';
import { documentsFor, type Printed, type Subject } from './iam-documents.js';
import { UNKNOWN_ACCOUNT } from './plan.js';
import { targetOf } from './target.js';

export interface PrintIamArgs extends IamArgs {
  policyName?: string | undefined;
  policy: boolean;
  format: 'text' | 'json';
  userRole: boolean;
  trust: boolean;
  boundary: boolean;
  workgroupId?: string | undefined;
  externalId?: string | undefined;
}

export async function run(env: Env, args: PrintIamArgs): Promise<void> {
  refuseSecrets({ ...args });
  const bearer = targetOf(args, ['--role', '--user']);
  const types = parseIamTypes(args.types);
  const printed = documentsFor({ ...args, types, bearer, subject: subjectOf(args) });
  if (!args.policy && args.format === 'text') return printText(env, printed);
  const json = args.policy ? documentsText(printed) : jsonText(membersOf(printed), 2);
  print(env, `${json}\n`);
  for (const { text, meaning } of printed.placeholders) {
    if (json.includes(text)) printWarning(env, `"${text}" is a placeholder: ${meaning}`);
  }
}

/** @throws BadParameter for more than one */
function subjectOf({ userRole, trust, boundary }: PrintIamArgs): Subject {
  const asked = Object.entries({ 'user-role': userRole, trust, boundary }).filter(([, is]) => is);
  if (asked.length > 1) {
    const flags = asked.map(([name]) => `--${name}`).join(' and ');
    throw new TeleportError('BadParameter', `${flags} are about different documents: ask for one at a time`);
  }
  return (asked[0]?.[0] as Subject | undefined) ?? 'agent';
}

/** The document; where there are several, a list of them. */
function documentsText({ documents }: Printed): string {
  const all = documents.map(({ document }) => document);
  return all.length === 1 ? documentText(all[0]!) : JSON.stringify(all, null, 4);
}

function membersOf({ accountId, documents, attachTo, placeholders, notes }: Printed) {
  return { account_id: accountId ?? null, documents, attach_to: attachTo, placeholders, notes };
}

function printText(env: Env, { accountId = UNKNOWN_ACCOUNT, documents, attachTo, placeholders, notes }: Printed): void {
  const steps = [
    ...documents.map(({ title, document }) => `${title}:\n${documentText(document)}\n`),
    ...attachTo.map((name) => `Attach IAM policies to "${name}".`),
  ];
  print(env, steps.map((step, i) => `${i + 1}. [${accountId}] ${step}\n`).join(''));
  for (const note of notes) printLine(env, note);
  if (placeholders.length === 0) return;
  printLine(env, '\nPlaceholders, to be replaced before you use this:');
  for (const { text, meaning } of placeholders) printLine(env, `  ${text}: ${meaning}`);
}
