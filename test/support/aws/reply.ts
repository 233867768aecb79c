/**
 * How AWS services answer: XML for the query protocol (STS, IAM, Redshift), JSON 1.1 (Redshift Serverless), and the
 * errors of both in the shapes that the SDK and the `aws` command read.
 */

/** A refusal with AWS's code. Its HTTP status is the model's. */
export class AwsFault extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export interface Refusal {
  code: string;
  message: string;
  status: number;
}

export interface Reply {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export type XmlValue = string | number | boolean | Date | undefined | XmlList | { [name: string]: XmlValue };

export interface XmlList {
  readonly member: string;
  readonly items: XmlValue[];
}

/** A list whose elements are named `member`. */
export const list = (member: string, items: XmlValue[]): XmlList => ({ member, items });

/** @param result  undefined: the action answers nothing */
export function queryReply(namespace: string, action: string, result: XmlValue, requestId: string): Reply {
  const inner = result === undefined ? '' : `<${action}Result>${xml(result)}</${action}Result>`;
  const body =
    `<${action}Response xmlns="${namespace}">${inner}` +
    `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></${action}Response>`;
  return { status: 200, headers: { 'content-type': 'text/xml', 'x-amzn-requestid': requestId }, body };
}

export function queryFault(namespace: string, fault: Refusal, requestId: string): Reply {
  const type = fault.status < 500 ? 'Sender' : 'Receiver';
  const error = xml({ Type: type, Code: fault.code, Message: fault.message });
  const body = `<ErrorResponse xmlns="${namespace}"><Error>${error}</Error><RequestId>${requestId}</RequestId></ErrorResponse>`;
  return { status: fault.status, headers: { 'content-type': 'text/xml', 'x-amzn-requestid': requestId }, body };
}

export function jsonReply(result: unknown, requestId: string): Reply {
  return { status: 200, headers: jsonHeaders(requestId), body: JSON.stringify(result) };
}

export function jsonFault(fault: Refusal, requestId: string): Reply {
  const body = JSON.stringify({ __type: fault.code, message: fault.message });
  return {
    status: fault.status,
    headers: { ...jsonHeaders(requestId), 'x-amzn-errortype': fault.code },
    body,
  };
}

/** STS says the same in JSON to who asks for it: as far as Go's clients and ours read it, without lists. */
export function inJson({ status, headers, body }: Reply): Reply {
  const tree = (xml: string): unknown => {
    const parts = [...xml.matchAll(/<(\w+)(?: xmlns="[^"]*")?>(.*?)<\/\1>/g)];
    return parts.length === 0 ? xml : Object.fromEntries(parts.map(([, name, inner]) => [name, tree(inner!)]));
  };
  // What refuses has no root of its own.
  const { ErrorResponse: refusal, ...result } = tree(body) as Record<string, unknown>;
  return {
    status,
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(refusal ?? result),
  };
}

function jsonHeaders(requestId: string): Record<string, string> {
  return { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': requestId };
}

function xml(value: XmlValue): string {
  if (value === undefined) return '';
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== 'object') return escapeXml(String(value));
  if ('member' in value && 'items' in value) {
    const { member, items } = value as XmlList;
    return items.map((item) => `<${member}>${xml(item)}</${member}>`).join('');
  }
  return Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .map(([name, inner]) => `<${name}>${xml(inner as XmlValue)}</${name}>`)
    .join('');
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
