/** Yes and no as words. Pure. */

const YES = new Set(['yes', 'yeah', 'y', 'true', 't', 'on', '1']);
const NO = new Set(['no', 'nope', 'n', 'false', 'f', 'off', '0']);

/** A word in any case, spaces around it; undefined for other words. Source: Teleport's `ParseBool`, with Go's `t` and `f`. */
export function yesOrNo(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  return YES.has(word) ? true : NO.has(word) ? false : undefined;
}

/** The words of Go's `strconv.ParseBool` and no others, for command lines. */
export function goBoolean(text: string): boolean | undefined {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}

/** What YAML 1.1 reads as a boolean where it stands without quotes. */
export const YAML_BOOLEAN = /^(y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|true|True|TRUE|false|False|FALSE)$/;
