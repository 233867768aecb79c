/**
 * IAM's decision, pure: does a set of policy documents allow an action on a resource, and does a trust policy name a
 * caller. Follows AWS's "Policy evaluation logic": an explicit Deny wins, then an Allow, and silence means no.
 */

export interface PolicyStatement {
  Sid?: string;
  Effect: 'Allow' | 'Deny';
  Principal?: '*' | Record<string, string | string[]>;
  Action?: string | string[];
  NotAction?: string | string[];
  Resource?: string | string[];
  NotResource?: string | string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}

export interface PolicyDocument {
  Version?: string;
  Statement: PolicyStatement | PolicyStatement[];
}

export interface PolicyQuestion {
  action: string;
  resource: string;
  /** Condition keys and their values, keys in lower case. */
  context?: Record<string, string | undefined>;
}

export type Decision = 'allow' | 'deny' | 'none';

export function decide(documents: PolicyDocument[], question: PolicyQuestion): Decision {
  const hits = documents.flatMap(statementsOf).filter((statement) => applies(statement, question));
  if (hits.some((statement) => statement.Effect === 'Deny')) return 'deny';
  return hits.some((statement) => statement.Effect === 'Allow') ? 'allow' : 'none';
}

export interface TrustCaller {
  /** ARN of the role or user. */
  principalArn?: string;
  /** ARN as AWS shows it in messages: of the session or the user. */
  arn?: string;
  accountId?: string;
  /** Of a token of an identity provider. */
  federated?: string;
  /** Of an AWS service, such as `ec2.amazonaws.com`. */
  service?: string;
}

/** `direct`: the caller itself is named; `account`: its account is, so that its own policies decide. */
export type Trust = 'direct' | 'account' | 'deny' | 'none';

export function trusts(
  document: PolicyDocument,
  caller: TrustCaller,
  question: Omit<PolicyQuestion, 'resource'>,
): Trust {
  let found: Trust = 'none';
  for (const statement of statementsOf(document)) {
    if (!actionMatches(statement, question.action) || !conditionsHold(statement, question.context ?? {})) continue;
    const how = principalMatches(statement.Principal, caller);
    if (how === 'none') continue;
    if (statement.Effect === 'Deny') return 'deny';
    if (how === 'direct' || found === 'none') found = how;
  }
  return found;
}

function principalMatches(principal: PolicyStatement['Principal'], caller: TrustCaller): 'direct' | 'account' | 'none' {
  if (principal === undefined) return 'none';
  const named: Record<string, string | string[]> = principal === '*' ? { AWS: '*' } : principal;
  if (caller.federated !== undefined) return asList(named.Federated).includes(caller.federated) ? 'direct' : 'none';
  if (caller.service !== undefined) return asList(named.Service).includes(caller.service) ? 'direct' : 'none';
  const entries = asList(named.AWS);
  if (entries.some((entry) => entry === '*' || entry === caller.principalArn || entry === caller.arn)) return 'direct';
  const root = (entry: string) => /^arn:[\w-]+:iam::(\d{12}):root$/.exec(entry)?.[1] ?? entry;
  return entries.some((entry) => root(entry) === caller.accountId) ? 'account' : 'none';
}

function applies(statement: PolicyStatement, { action, resource, context = {} }: PolicyQuestion): boolean {
  const resources = statement.Resource ?? statement.NotResource;
  const hit = asList(resources).some((pattern) => matches(pattern, resource));
  const wanted = statement.Resource !== undefined;
  return actionMatches(statement, action) && hit === wanted && conditionsHold(statement, context);
}

function actionMatches(statement: PolicyStatement, action: string): boolean {
  const hit = asList(statement.Action ?? statement.NotAction).some((pattern) =>
    matches(pattern.toLowerCase(), action.toLowerCase()),
  );
  return hit === (statement.Action !== undefined);
}

function conditionsHold(statement: PolicyStatement, context: Record<string, string | undefined>): boolean {
  return Object.entries(statement.Condition ?? {}).every(([operator, keys]) =>
    Object.entries(keys).every(([key, wanted]) => holds(operator, context[key.toLowerCase()], asList(wanted))),
  );
}

/** An operator that is not known here never holds: the double errs on the side of refusing. */
function holds(operator: string, value: string | undefined, wanted: string[]): boolean {
  if (operator === 'Null') return (value === undefined) === (wanted[0] === 'true');
  const optional = operator.endsWith('IfExists');
  if (value === undefined) return optional || operator.startsWith('StringNot') || operator.startsWith('ArnNot');
  switch (operator.replace(/IfExists$/, '')) {
    case 'StringEquals':
      return wanted.includes(value);
    case 'StringNotEquals':
      return !wanted.includes(value);
    case 'StringEqualsIgnoreCase':
      return wanted.some((one) => one.toLowerCase() === value.toLowerCase());
    case 'StringLike':
    case 'ArnLike':
    case 'ArnEquals':
      return wanted.some((one) => matches(one, value));
    case 'StringNotLike':
    case 'ArnNotLike':
      return !wanted.some((one) => matches(one, value));
    default:
      return false;
  }
}

function matches(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}

const asList = (value: string | string[] | undefined): string[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

const statementsOf = (document: PolicyDocument): PolicyStatement[] =>
  Array.isArray(document.Statement) ? document.Statement : [document.Statement];
