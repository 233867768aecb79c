// Test files in random order, so that no file lives on what another one left behind. Jest chooses the seed, prints it, and
// takes it back: `npm run jest -- --seed=N`.
const { default: Sequencer } = require('@jest/test-sequencer');

module.exports = class RandomOrder extends Sequencer {
  #seed;

  constructor(options) {
    super(options);
    this.#seed = options.globalConfig.seed;
  }

  sort(tests) {
    return shuffled([...tests].sort(byPath), this.#seed);
  }
};

const byPath = (a, b) => (a.path < b.path ? -1 : 1);

/** Fisher and Yates, with the 32 bits of Vigna and Steele's SplitMix as dice. */
function shuffled(items, seed) {
  let state = seed | 0;
  const random = () => {
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
  for (let left = items.length; left > 1; left--) {
    const at = Math.floor(random() * left);
    [items[left - 1], items[at]] = [items[at], items[left - 1]];
  }
  return items;
}
