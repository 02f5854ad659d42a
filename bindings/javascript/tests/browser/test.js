// What the tests use of `node:test`, for a browser.

const tests = [];

export default function test(name, work) {
  tests.push({ name, work });
}

/** Runs all tests, and returns their names with the errors of those that failed. */
export async function run() {
  const results = [];
  for (const { name, work } of tests) {
    try {
      await work();
      results.push({ name });
    } catch (error) {
      results.push({ name, error: `${error?.stack ?? error}` });
    }
  }
  return results;
}
