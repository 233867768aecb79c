/** A request and an answer of the double held against the service's model. What is found is named; nothing is mended. */
import { type Broken, brokenRules, errorShapeOf, type Model, statusOf } from './model.js';
import { parseXml, Reading, type XmlElement } from './model-read.js';
import type { Reply } from './reply.js';
import type { SignedRequest } from './sigv4.js';

export interface RequestFindings {
  /** What no client that follows the model sends. */
  misfits: string[];
  /** What a client may send and the service refuses. */
  broken: Broken[];
}

const CONTENT_TYPES = { query: 'application/x-www-form-urlencoded', json: 'application/x-amz-json-' };

/** @param sent  form fields without Action and Version, or JSON members */
export function checkRequest(
  model: Model,
  name: string,
  request: Omit<SignedRequest, 'body'>,
  sent: Record<string, unknown>,
): RequestFindings {
  const { http, input } = model.operations[name]!;
  const { protocol, jsonVersion = '' } = model.metadata;
  const reading = new Reading(model);
  if (request.method !== http.method || request.target !== http.requestUri) {
    reading.misfit('request', `${request.method} ${request.target} where ${http.method} ${http.requestUri} belongs`);
  }
  const type = String(request.headers['content-type'] ?? '').replace(/\s*;.*$/s, '');
  const wanted = CONTENT_TYPES[protocol] + jsonVersion;
  if (type !== wanted) reading.misfit('content-type', `"${type}" where "${wanted}" belongs`);
  const value =
    protocol === 'json'
      ? reading.json(input, sent, 'request')
      : reading.form(input, sent as Record<string, string>, 'request');
  return { misfits: reading.misfits, broken: reading.misfits.length > 0 ? [] : brokenRules(model, input, value) };
}

/** What is wrong with an answer: a result or an error. */
export function checkReply(model: Model, name: string, reply: Reply): string[] {
  const reading = new Reading(model);
  try {
    if (model.metadata.protocol === 'json') readJson(model, name, reply, reading);
    else readXml(model, name, reply, reading);
  } catch (error) {
    reading.misfit('answer', error instanceof Error ? error.message : String(error));
  }
  return reading.misfits;
}

function readJson(model: Model, name: string, reply: Reply, reading: Reading): void {
  const type = `${CONTENT_TYPES.json}${model.metadata.jsonVersion}`;
  if (reply.headers['content-type'] !== type) reading.misfit('content-type', `it is not ${type}`);
  const body = JSON.parse(reply.body) as Record<string, unknown>;
  if (reply.status === 200) {
    const { output } = model.operations[name]!;
    if (output) rules(model, reading, output, reading.json(output, body, 'answer'));
    return;
  }
  const { __type: code, ...members } = body;
  if (typeof code !== 'string' || reply.headers['x-amzn-errortype'] !== code) {
    reading.misfit('answer', `its type is ${code}, in the header ${reply.headers['x-amzn-errortype']}`);
  }
  checkError(model, name, reply, String(code), reading);
  const shape = errorShapeOf(model, name, String(code));
  for (const member of Object.keys(members)) {
    if (member !== 'message' && !shape?.members?.[member]) reading.misfit('answer', `${code} has no "${member}"`);
  }
}

function readXml(model: Model, name: string, reply: Reply, reading: Reading): void {
  if (reply.headers['content-type'] !== 'text/xml') reading.misfit('content-type', 'it is not text/xml');
  const root = parseXml(reply.body);
  if (root.attributes.xmlns !== model.metadata.xmlNamespace) {
    reading.misfit('answer', `namespace ${root.attributes.xmlns} where ${model.metadata.xmlNamespace} belongs`);
  }
  if (reply.status !== 200) {
    const [error] = parts(reading, root, 'ErrorResponse', ['Error', 'RequestId']);
    const [type, code] = error ? parts(reading, error, 'Error', ['Type', 'Code', 'Message']) : [];
    const wanted = reply.status < 500 ? 'Sender' : 'Receiver';
    if (type?.text !== wanted) reading.misfit('answer', `it is the fault of the ${type?.text}, not of the ${wanted}`);
    checkError(model, name, reply, code?.text ?? '', reading);
    return;
  }
  const { output } = model.operations[name]!;
  const wrapper = output?.resultWrapper;
  const metadata = 'ResponseMetadata';
  const found = parts(reading, root, `${name}Response`, wrapper ? [wrapper, metadata] : [metadata]);
  if (output && found[0]) rules(model, reading, output, reading.xml(output, found[0], 'answer'));
  const last = found.at(-1);
  if (last) parts(reading, last, metadata, ['RequestId']);
}

/** The children of an element, which are these and no others. */
function parts(reading: Reading, element: XmlElement, name: string, wanted: string[]): (XmlElement | undefined)[] {
  const names = element.children.map((one) => one.name);
  if (element.name !== name || names.join() !== wanted.join()) {
    reading.misfit(
      'answer',
      `<${element.name}> of ${names.join(', ')} where <${name}> of ${wanted.join(', ')} belongs`,
    );
  }
  return wanted.map((one) => element.children.find((child) => child.name === one));
}

function checkError(model: Model, name: string, reply: Reply, code: string, reading: Reading): void {
  const status = statusOf(model, name, code);
  if (status === undefined) reading.misfit('answer', `${name} does not answer with the error ${code}`);
  else if (status !== reply.status) reading.misfit('answer', `${code} comes with ${status}, not with ${reply.status}`);
}

function rules(model: Model, reading: Reading, ref: { shape: string }, value: unknown): void {
  if (reading.misfits.length > 0) return;
  for (const { text } of brokenRules(model, ref, value)) reading.misfit('answer', text);
}
