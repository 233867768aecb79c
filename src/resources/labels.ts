/** Labels that Teleport keeps for itself, and `key=value` lists. */
import { TeleportError } from '../errors.js';

/** Where a resource came from. */
export const ORIGIN_LABEL = 'teleport.dev/origin';
/** Real name of a discovered database's shorter one. */
export const DISCOVERED_NAME_LABEL = 'teleport.internal/discovered-name';
/** Which Discovery Services keep a database that was found in AWS. */
export const DISCOVERY_GROUP_LABEL = 'teleport.internal/discovery-group-name';
export const RESOURCE_TYPE_LABEL = 'teleport.internal/resource-type';

/**
 * `a=b,c=d`; a value may be in double quotes.
 *
 * @throws TeleportError `BadParameter` `invalid label spec: 'x', should be 'key=value'`
 */
export function parseLabelSpec(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const part of text.match(/(?:"[^"]*"|[^,;])+/g) ?? []) {
    const split = /^\s*([^=]+?)\s*=\s*(.*?)\s*$/.exec(part);
    if (split === null) {
      throw new TeleportError('BadParameter', `invalid label spec: '${part.trim()}', should be 'key=value'`);
    }
    labels[unquoted(split[1]!)] = unquoted(split[2]!);
  }
  return labels;
}

function unquoted(text: string): string {
  return text.replace(/^"(.*)"$/, '$1');
}
