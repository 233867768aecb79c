/** Commands that texts show are copied into a shell: a value in one is a word there, whoever has chosen it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const COMMAND =
  /\b(?:tsh|tctl|teleport) (?:access|audit|auth|configure|create|db|edit|get|lock|login|logout|proxy|request|rm|start|status|tokens|users)\b[^`"\n]*?(?:=|\/| )\$\{([^}]*)/g;

/** Quoted, or chosen here and no words of a shell. */
const SAFE = /shellWord\(|^(?:role\.toLowerCase\(\)|kind|ref\.kind|word === path .*)$/;

const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));

test('a value in a command that is shown is quoted for a shell', () => {
  const found = files.flatMap((path) =>
    [...readFileSync(join('src', path), 'utf8').matchAll(COMMAND)]
      .filter(([, value]) => !SAFE.test(value!))
      .map(([text]) => `${path}: ${text}`),
  );
  expect(found).toEqual([]);
});
