import { goBoolean, YAML_BOOLEAN, yesOrNo } from '../src/yes-no.js';

test('H1 yes and no are the same words wherever people write them', () => {
  for (const word of ['yes', 'Y', 'true', 't', 'ON', '1', ' yeah '])
    expect([word, yesOrNo(word)]).toEqual([word, true]);
  for (const word of ['no', 'N', 'false', 'f', 'Off', '0', 'nope'])
    expect([word, yesOrNo(word)]).toEqual([word, false]);
  for (const word of ['', 'hardware_key', '2', 'yess', 'null'])
    expect([word, yesOrNo(word)]).toEqual([word, undefined]);
});

test("H1 a command line takes Go's words only", () => {
  expect(['1', 'T', 'true', 'True', 'TRUE'].map(goBoolean)).toEqual(Array(5).fill(true));
  expect(['0', 'F', 'false', 'False', 'FALSE'].map(goBoolean)).toEqual(Array(5).fill(false));
  expect(['yes', 'on', 'tRUE', '', ' true'].map(goBoolean)).toEqual(Array(5).fill(undefined));
});

test('H1 what YAML 1.1 takes for a boolean needs quotes to be a text', () => {
  for (const word of ['y', 'No', 'ON', 'off', 'True']) expect(word).toMatch(YAML_BOOLEAN);
  for (const word of ['tRUE', '1', 'yeah', 'yes ', '']) expect(word).not.toMatch(YAML_BOOLEAN);
});
