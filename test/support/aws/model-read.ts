/**
 * Reads what went over the wire by its model: a form of the query protocol, XML, JSON. What the model does not have, or has
 * of another type, is a misfit: no service would say so, and none could read it.
 *
 * Source: the pages "AWS Query protocol" and "AWS JSON 1.1 protocol" of the Smithy specification, smithy.io/2.0/aws/protocols.
 */
import type { Model, Ref, Shape } from './model.js';

export class Reading {
  readonly misfits: string[] = [];
  private readonly model: Model;

  constructor(model: Model) {
    this.model = model;
  }

  misfit(path: string, what: string): undefined {
    this.misfits.push(`${path}: ${what}`);
    return undefined;
  }

  /** A form: `Tags.member.1.Key=…`, flat. */
  form(ref: Ref, fields: Record<string, string>, path: string): unknown {
    const shape = this.shape(ref);
    if (shape.type === 'structure') {
      const groups = new Map<string, Record<string, string>>();
      for (const [key, value] of Object.entries(fields)) {
        const [, name = '', rest = ''] = /^([^.]*)\.?(.*)$/s.exec(key)!;
        groups.set(name, { ...groups.get(name), [rest]: value });
      }
      return this.members(shape, [...groups], path, (member, inner, at) => this.form(member, inner, at));
    }
    if (shape.type === 'list') {
      // An empty list is its name alone.
      if (Object.keys(fields).join() === '' && fields[''] === '') return [];
      const items: Record<string, string>[] = [];
      const wanted = shape.member!.locationName ?? 'member';
      for (const [key, value] of Object.entries(fields)) {
        const [, name, number, rest = ''] = /^([^.]+)\.([1-9]\d*)(?:\.(.+))?$/.exec(key) ?? [];
        if (name !== wanted) this.misfit(path, `"${key}" where ${wanted}.N belongs`);
        else items[Number(number) - 1] = { ...items[Number(number) - 1], [rest]: value };
      }
      if (Object.keys(items).length !== items.length) this.misfit(path, 'a number is left out');
      return items.filter(Boolean).map((one, index) => this.form(shape.member!, one, `${path}.${index + 1}`));
    }
    const [text, ...more] = Object.entries(fields);
    if (text?.[0] !== '' || more.length > 0) return this.misfit(path, 'it has parts, and should be one value');
    return this.text(shape, text[1], path);
  }

  xml(ref: Ref, element: XmlElement, path: string): unknown {
    const shape = this.shape(ref);
    if (shape.type === 'structure') {
      if (element.text !== '') this.misfit(path, `text in a structure: ${element.text}`);
      const children = element.children.map((one): [string, XmlElement] => [one.name, one]);
      return this.members(shape, children, path, (member, inner, at) => this.xml(member, inner, at));
    }
    if (shape.type === 'list') {
      const wanted = shape.member!.locationName ?? 'member';
      if (element.text !== '') this.misfit(path, `text in a list: ${element.text}`);
      return element.children.map((one, index) => {
        if (one.name !== wanted) this.misfit(path, `<${one.name}> where <${wanted}> belongs`);
        return this.xml(shape.member!, one, `${path}.${index + 1}`);
      });
    }
    if (element.children.length > 0) return this.misfit(path, 'it has parts, and should be one value');
    return this.text(shape, element.text, path);
  }

  json(ref: Ref, value: unknown, path: string): unknown {
    const shape = this.shape(ref);
    const wrong = (what: string) => this.misfit(path, `${JSON.stringify(value)} where ${what} belongs`);
    switch (shape.type) {
      case 'structure':
        if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong('an object');
        return this.members(shape, Object.entries(value), path, (member, inner, at) => this.json(member, inner, at));
      case 'list':
        if (!Array.isArray(value)) return wrong('a list');
        return value.map((one, index) => this.json(shape.member!, one, `${path}.${index + 1}`));
      case 'integer':
      case 'long':
        return Number.isInteger(value) ? value : wrong('a whole number');
      case 'double':
        return typeof value === 'number' ? value : wrong('a number');
      case 'boolean':
        return typeof value === 'boolean' ? value : wrong('true or false');
      case 'timestamp':
        if (shape.timestampFormat !== 'iso8601') return typeof value === 'number' ? value : wrong('seconds since 1970');
        return typeof value === 'string' && ISO8601.test(value) ? value : wrong('a time');
      default:
        return typeof value === 'string' ? value : wrong('a text');
    }
  }

  private members<T>(
    shape: Shape,
    given: [string, T][],
    path: string,
    read: (member: Ref, inner: T, path: string) => unknown,
  ): Record<string, unknown> {
    const found: Record<string, unknown> = {};
    for (const [wire, inner] of given) {
      const known = wireNames(shape).get(wire);
      if (!known) this.misfit(path, `there is no "${wire}"`);
      else if (known[0] in found) this.misfit(path, `"${wire}" twice`);
      else found[known[0]] = read(known[1], inner, `${path}.${wire}`);
    }
    return found;
  }

  private text(shape: Shape, text: string, path: string): unknown {
    const wrong = (what: string) => this.misfit(path, `"${text}" where ${what} belongs`);
    switch (shape.type) {
      case 'integer':
      case 'long':
        return /^-?\d+$/.test(text) ? Number(text) : wrong('a whole number');
      case 'double':
        return text !== '' && Number.isFinite(Number(text)) ? Number(text) : wrong('a number');
      case 'boolean':
        return /^(true|false)$/.test(text) ? text === 'true' : wrong('true or false');
      case 'timestamp':
        return ISO8601.test(text) ? text : wrong('a time');
      default:
        return text;
    }
  }

  private shape({ shape }: Ref): Shape {
    const found = this.model.shapes[shape]!;
    if (found.type !== 'map') return found;
    throw new Error(`${shape} is a map, which the double neither reads nor writes`);
  }
}

/** Members by their name on the wire. A model does not change, and is asked for every element. */
const WIRE_NAMES = new WeakMap<Shape, Map<string, [string, Ref]>>();
function wireNames(shape: Shape): Map<string, [string, Ref]> {
  const kept = WIRE_NAMES.get(shape);
  if (kept) return kept;
  const members = Object.entries(shape.members ?? {});
  const names = new Map(members.map((one): [string, [string, Ref]] => [one[1].locationName ?? one[0], one]));
  WIRE_NAMES.set(shape, names);
  return names;
}

const ISO8601 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

export interface XmlElement {
  name: string;
  attributes: Record<string, string>;
  children: XmlElement[];
  text: string;
}

const XML_TOKEN = /<(\/?)([\w.-]+)((?:\s+[\w:.-]+="[^"<]*")*)\s*(\/?)>|([^<>]+)/gy;
const XML_NAMES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** An XML document of elements, attributes and text. @throws Error when it is not well formed, or has anything else */
export function parseXml(document: string): XmlElement {
  const root: XmlElement = { name: '', attributes: {}, children: [], text: '' };
  const open = [root];
  let at = 0;
  for (const token of document.matchAll(XML_TOKEN)) {
    at = token.index + token[0].length;
    const [, end, name, attributes = '', empty, text] = token;
    const here = open.at(-1)!;
    if (text !== undefined) here.text += plain(text);
    else if (end) {
      if (open.length === 1 || here.name !== name) throw new Error(`</${name}> closes <${here.name}>`);
      open.pop();
    } else {
      const named = [...attributes.matchAll(/([\w:.-]+)="([^"]*)"/g)].map(([, key, value]) => [key, plain(value!)]);
      const element: XmlElement = { name: name!, attributes: Object.fromEntries(named), children: [], text: '' };
      here.children.push(element);
      if (!empty) open.push(element);
    }
  }
  if (at !== document.length || open.length > 1 || root.children.length !== 1 || root.text !== '') {
    throw new Error(`not well formed at ${at}: ${document.slice(at, at + 40)}`);
  }
  return root.children[0]!;
}

function plain(text: string): string {
  return text.replace(/&([^;\s]*);?/g, (all, name: string) => {
    const found = XML_NAMES[name];
    if (found === undefined || !all.endsWith(';')) throw new Error(`a bare & or an unknown name: ${all}`);
    return found;
  });
}
