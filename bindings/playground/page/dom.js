// Elements from data. Text is always put as text, never as HTML.

/**
 * An element. `props` are attributes; `on` has listeners, and `true` and `false` set or leave out an
 * attribute. Children are nodes, text or lists of them; null, undefined and false are left out.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "on") {
      for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...present(children));
  return element;
}

/** A button that does `act`. It never submits a form. */
export function button(label, act, props = {}) {
  return h("button", { type: "button", on: { click: act }, ...props }, label);
}

/** Text that a user chose: bidirectional controls in it do not reach the text around it. */
export function theirs(text, props = {}) {
  return h("bdi", props, text);
}

/**
 * Replaces the children of `container`. If the focus was on one of them, it goes to the new element with
 * the same `data-key`, or to `container` if there is none.
 */
export function replace(container, ...children) {
  const focused = document.activeElement;
  const had = focused !== container && container.contains(focused);
  container.replaceChildren(...present(children));
  if (!had) return;
  const key = focused.dataset.key;
  const again = key && [...container.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
  if (!again) container.tabIndex = -1;
  (again || container).focus({ preventScroll: true });
}

let last = 0;

/** An id that no other element has. */
export function freshId() {
  last += 1;
  return `id-${last}`;
}

/** A labelled field: `control` under `label`. */
export function field(label, control, props = {}) {
  control.id ||= freshId();
  return h("p", { class: "field", ...props }, h("label", { for: control.id }, label), control);
}

/** A `select` of pairs of value and label. */
export function select(pairs, chosen, props = {}) {
  const option = ([value, label]) => h("option", { value, selected: value === chosen }, label);
  return h("select", props, ...pairs.map(option));
}

/** A dialog that is shown at once, and removed when it is closed. */
export function dialog(title, ...children) {
  const id = freshId();
  const close = button("Close", () => element.close(), { class: "quiet" });
  const element = h(
    "dialog",
    { class: "dialog", "aria-labelledby": id },
    h("header", {}, h("h2", { id }, title), close),
    ...children,
  );
  element.addEventListener("close", () => element.remove());
  // A click beside the dialog has the dialog itself as its target.
  element.addEventListener("click", (event) => event.target === element && element.close());
  document.body.append(element);
  element.showModal();
  return element;
}

function present(children) {
  return children.flat().filter((child) => child !== null && child !== undefined && child !== false);
}
