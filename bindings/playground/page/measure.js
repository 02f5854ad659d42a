// Measured times, in microseconds.

/** How many means the best one is chosen from. */
const ROUNDS = 4;

/** The time of one run of `act`. */
export function once(act) {
  const begin = performance.now();
  act();
  return (performance.now() - begin) * 1000;
}

/**
 * The mean time of `act`, which is repeated for at least `ms` milliseconds: the clock of a browser has
 * steps of up to 100 µs.
 */
export function mean(act, ms) {
  const begin = performance.now();
  let runs = 0;
  let spent = 0;
  while (spent < ms) {
    act();
    runs += 1;
    spent = performance.now() - begin;
  }
  return { us: (spent * 1000) / runs, runs };
}

/** The smallest of a few such means: the one that other work on the machine delayed least. */
export function best(act, ms) {
  const means = Array.from({ length: ROUNDS }, () => mean(act, ms));
  return means.reduce((a, b) => (b.us < a.us ? b : a));
}
