// What the views draw with. All that comes from objects goes through `text`: it is never markup, and never an address.

export const byId = (id) => document.getElementById(id);

/** Set the text of an element, if it is another one. */
export function text(element, value) {
  const wanted = String(value ?? "");
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Set an attribute, if it is another one. */
export function attribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** A new element with a class and a text. */
export function make(tag, kind = "", value = "") {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  if (value) element.textContent = value;
  return element;
}

const kept = new WeakMap();

/**
 * Let a parent have one child for each item, in their order. A child stays the same element while its item is there, so
 * that focus and selection stay; only what differs is touched.
 */
export function keyed(parent, items, keyOf, create, update) {
  const known = kept.get(parent) ?? new Map();
  const now = new Map();
  let place = parent.firstChild;
  for (const [index, item] of items.entries()) {
    const key = keyOf(item, index);
    const child = known.get(key) ?? create(item);
    now.set(key, child);
    known.delete(key);
    update(child, item);
    if (child === place) place = place.nextSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of known.values()) child.remove();
  kept.set(parent, now);
}

/** The headings of a table. `columns` are [name, heading, what of CSS]. */
export function heads(row, columns) {
  if (row.firstChild) return;
  for (const [, heading] of columns) {
    const cell = make("th", "", heading);
    cell.scope = "col";
    row.append(cell);
  }
}

/** A row with an empty cell for each column. */
export function cells(columns) {
  const row = make("tr");
  for (const [, heading, kind] of columns) {
    const cell = make("td", kind);
    cell.dataset.label = heading;
    row.append(cell);
  }
  return row;
}

/** Show notes, one in a line. */
export function notes(parent, problems) {
  keyed(parent, problems, (_, index) => index, () => make("p", "note"), (line, problem) => text(line, `note: ${problem}`));
}

/** Whether one of the texts has the words of a filter, in small letters. */
export const has = (words, texts) => texts.some((each) => each && each.toLowerCase().includes(words));
