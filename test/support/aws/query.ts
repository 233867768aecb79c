/** Reading requests of the query protocol: a form with `Action`, `Version` and numbered names for lists. */
import type { Caller, World } from './world.js';

export interface QueryCall {
  world: World;
  caller: Caller;
  region: string;
  params: Record<string, string>;
}

/** `NAME.member.1`, `NAME.Whatever.2` … in order. */
export function valueList(params: Record<string, string>, name: string): string[] {
  return structList(params, name).map((fields) => fields[''] ?? '');
}

/** `NAME.member.1.Key` … as records; a plain value stands under the empty name. */
export function structList(params: Record<string, string>, name: string): Record<string, string>[] {
  const found = new Map<number, Record<string, string>>();
  for (const [key, value] of Object.entries(params)) {
    const match = /^(\w+)\.\w+\.(\d+)(?:\.(\w+))?$/.exec(key);
    if (match?.[1] !== name) continue;
    const index = Number(match[2]);
    found.set(index, { ...found.get(index), [match[3] ?? '']: value });
  }
  return [...found].sort(([a], [b]) => a - b).map(([, fields]) => fields);
}
