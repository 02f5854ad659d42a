// What the tests use of `node:assert/strict`, for a browser.

class AssertionError extends Error {
  constructor({ message }) {
    super(message);
    this.name = "AssertionError";
  }
}

function fail(message) {
  throw new AssertionError({ message });
}

function ok(value, message) {
  if (!value) fail(message ?? "not true");
}

function equal(actual, expected, message) {
  if (!Object.is(actual, expected)) fail(message ?? `${show(actual)} is not ${show(expected)}`);
}

function deepEqual(actual, expected, message) {
  if (!same(actual, expected)) fail(message ?? `${show(actual)} is not ${show(expected)}`);
}

function same(one, other) {
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) {
    return Object.is(one, other);
  }
  const [names, others] = [Object.keys(one), Object.keys(other)];
  return (
    Object.getPrototypeOf(one) === Object.getPrototypeOf(other) &&
    names.length === others.length &&
    names.every((name) => Object.hasOwn(other, name) && same(one[name], other[name]))
  );
}

function match(text, pattern) {
  if (!pattern.test(text)) fail(`${show(text)} does not match ${pattern}`);
}

function throws(work, Class, message) {
  try {
    work();
  } catch (error) {
    if (!(error instanceof Class)) fail(`${message ?? ""}: ${error} is no ${Class.name}`);
    return;
  }
  fail(`${message ?? ""}: nothing was thrown`);
}

function show(value) {
  return JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `${part}n` : part));
}

export default { AssertionError, deepEqual, equal, fail, match, ok, throws };
