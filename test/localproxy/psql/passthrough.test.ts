import { describe, expect, test } from '@jest/globals';
import { checkPassthrough } from '../../../src/localproxy/psql/passthrough.js';

describe('B1 what stands behind --', () => {
  test.each([
    [],
    ['-c', 'select 1'],
    ['-Atc', 'select 1', '-c', '-d'],
    ['--command=select 1', '--set', '-h', '--variable', 'host=x'],
    ['-vON_ERROR_STOP=1', '-v', 'dbname=x', '-f', '-', '-o', '/tmp/x', '-P', 'pager=off'],
    ['--csv', '--no-psqlrc', '-1', '-X', '-q', '-l', '-w', '-?', '--help=variables'],
    ['-F|', '-R', 'U', '-L', 'host', '-T', 'x', '--table', '-d', '--nonsense', '-Z'],
    ['-c', 'select 1', '--'],
  ])('%j is for psql', (...words) => {
    expect(() => checkPassthrough(words as string[])).not.toThrow();
  });

  test.each([
    [['-h', 'other'], '-h (--host)'],
    [['-hother'], '-h (--host)'],
    [['-Xhother'], '-h (--host)'],
    [['--host=other'], '-h (--host)'],
    [['--hos', 'other'], '-h (--host)'],
    [['-p', '5432'], '-p (--port)'],
    [['--por=1'], '-p (--port)'],
    [['-U', 'me'], '-U (--username)'],
    [['--user=me'], '-U (--username)'],
    [['-d', 'dev'], '-d (--dbname)'],
    [['-c', 'select 1', '-d', 'host=other password=s3cret'], '-d (--dbname)'],
    [['-Atqd', 'postgres://me:s3cret@other/x'], '-d (--dbname)'],
    [['--d', 'dev'], '-d (--dbname)'],
    [['dev'], 'a word after "--"'],
    [['-c', 'select 1', 'postgres://me:s3cret@other/x'], 'a word after "--"'],
    [['-X', 'host=other password=s3cret'], 'a word after "--"'],
    [['-'], 'a word after "--"'],
    [['--', 's3cret'], 'a word after "--"'],
  ])('%j would lead psql elsewhere and is refused, without what it says', (words, named) => {
    let error: unknown;
    try {
      checkPassthrough(words);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'BadParameter', message: expect.stringContaining(named) });
    expect((error as { hint: string }).hint).toMatch(/tsh db connect|--db-name/);
    expect(JSON.stringify(error) + String(error)).not.toContain('s3cret');
  });
});
