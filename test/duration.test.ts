import {
  formatDurationMs,
  formatDurationNanos,
  goDurationMs,
  parseDurationMs,
  parseDurationNanos,
  shortDurationText,
} from '../src/duration.js';

// What Go 1.24 makes of them: time.ParseDuration, then String().
test.each([
  ['5μs', 5_000n, '5µs'],
  ['5µs', 5_000n, '5µs'],
  ['5us', 5_000n, '5µs'],
  ['0.5us', 500n, '500ns'],
  ['.5s', 500_000_000n, '500ms'],
  ['1.s', 1_000_000_000n, '1s'],
  ['1h30m', 5_400_000_000_000n, '1h30m0s'],
  ['-1.5h', -5_400_000_000_000n, '-1h30m0s'],
  ['+5s', 5_000_000_000n, '5s'],
  ['-0', 0n, '0s'],
  ['0.9ns', 0n, '0s'],
  ['0000000000000000000000000001s', 1_000_000_000n, '1s'],
  ['0.3333333333333333333333333333h', 1_199_999_999_999n, '19m59.999999999s'],
  ['9223372036854775807ns', 2n ** 63n - 1n, '2562047h47m16.854775807s'],
  ['-9223372036854775808ns', -(2n ** 63n), '-2562047h47m16.854775808s'],
])('H1 a duration is read and written as Go does: %s', (text, nanos, written) => {
  expect(parseDurationNanos(text)).toBe(nanos);
  expect(formatDurationNanos(nanos)).toBe(written);
  expect(goDurationMs(text)).toBe(Number(nanos) / 1e6);
});

test.each([
  '99999999999h',
  '9223372036854775808ns',
  '-9223372036854775809ns',
  `${'9'.repeat(10_000)}s`,
  '',
  '-',
  '5',
  '.s',
  's',
  '1x',
  '1h 2m',
  ' 1h',
  '1d1',
  '--1s',
])('H1 what is not a duration, or too long for 64 bits, is refused: %j', (text) => {
  expect(() => parseDurationMs(text)).toThrow(`time: invalid duration ${JSON.stringify(text)}`);
  expect(goDurationMs(text)).toBeUndefined();
});

test('H1 days, months and years are for resources, not for command lines', () => {
  expect(['1d', '1mo', '1y', '1h2d'].map(parseDurationMs)).toEqual([
    86_400_000, 2_592_000_000, 31_536_000_000, 176_400_000,
  ]);
  expect(['1d', '1mo', '1y', '1h2d'].map(goDurationMs)).toEqual(Array(4).fill(undefined));
});

test('H1 milliseconds are written as Go writes them, below and above their own unit', () => {
  expect([0.0005, 0.5, -0.5, 250, 90_500, 43_200_000, 31_536_000_000_001].map(formatDurationMs)).toEqual([
    '500ns',
    '500µs',
    '-500µs',
    '250ms',
    '1m30.5s',
    '12h0m0s',
    '8760000h0m0.001s',
  ]);
  expect([43_200_000, 5_400_000, 3_601_000].map(shortDurationText)).toEqual(['12h', '1h30m', '1h1s']);
});
