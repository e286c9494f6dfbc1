// The list of groups.

import { attribute, byId, cells, has, heads, keyed, make, notes, text } from "./dom.js";

const COLUMNS = [
  ["namespace", "Namespace", ""],
  ["name", "Name", "name"],
  ["state", "State", ""],
  ["nodes", "Nodes", "number"],
  ["spares", "Spares", "number"],
  ["round", "Round", "number"],
  ["restarts", "Restarts", "number"],
  ["since", "Since", "number"],
  ["run", "Run", ""],
  ["message", "Message", "long"],
];

const filter = byId("groups-filter");
const body = byId("groups-body");
let last = null; // the newest view
let wanted = null; // the group whose row gets the focus: the one that was shown before

heads(byId("groups-head"), COLUMNS);
filter.addEventListener("input", () => last && draw(last));

export function begin(came) {
  wanted = came;
  last = null;
  body.closest(".card").hidden = byId("groups-none").hidden = true; // what was there before is not shown as if it were new
}

export function draw(view) {
  last = view;
  const words = filter.value.trim().toLowerCase();
  const found = view.groups.filter((each) => !words || has(words, Object.values(each)));
  notes(byId("groups-notes"), view.problems);
  const none = byId("groups-none");
  none.hidden = found.length > 0;
  text(none, view.groups.length ? `None of ${view.groups.length} groups has this text.` : "There is no group (no Rendezvous) yet.");
  body.closest(".card").hidden = found.length === 0;
  keyed(body, found, (each) => `${each.namespace}/${each.name}`, row, update);
  if (wanted) {
    const came = `#/${encodeURIComponent(wanted.namespace)}/${encodeURIComponent(wanted.name)}`;
    links().find((link) => link.getAttribute("href") === came)?.focus();
    wanted = null;
  }
}

function row(group) {
  const made = cells(COLUMNS);
  const link = make("a");
  link.href = `#/${encodeURIComponent(group.namespace)}/${encodeURIComponent(group.name)}`;
  made.children[1].append(link);
  made.children[2].append(make("span", "badge"));
  made.addEventListener("click", (event) => {
    if (event.target !== link && !window.getSelection().toString()) link.click();
  });
  return made;
}

function update(made, group) {
  COLUMNS.forEach(([name], place) => {
    const cell = made.children[place];
    text(name === "name" || name === "state" ? cell.firstChild : cell, group[name]);
  });
  attribute(made.children[2].firstChild, "data-tone", group.tone || "idle");
}

const links = () => [...body.querySelectorAll("a")];

/** Whether it was a key of the list. */
export function key(event) {
  const all = links();
  const steps = { ArrowDown: 1, ArrowUp: -1, Home: -all.length, End: all.length };
  if (!(event.key in steps) || !all.length) return false;
  if (event.target === filter && event.key !== "ArrowDown") return false;
  const at = all.indexOf(document.activeElement);
  const to = at < 0 ? (event.key === "End" ? all.length - 1 : 0) : at + steps[event.key];
  all[Math.max(0, Math.min(all.length - 1, to))].focus();
  return true;
}
