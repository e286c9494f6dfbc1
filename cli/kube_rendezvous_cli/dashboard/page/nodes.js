// The nodes of a group: a grid with a cell for each of them, by rank or by machine, and a table.

import { attribute, byId, cells, has, heads, keyed, make, text } from "./dom.js";

const COLUMNS = [
  ["mark", "Rank", "number"],
  ["pod", "Pod", "name"],
  ["machine", "Machine", "name"],
  ["state", "State", "state"],
  ["heartbeat", "Heartbeat", "number"],
  ["evidence", "Evidence", "long"],
  ["peers", "Peers say", "long"],
];
const FEW = 12; // a table shows them as well as a grid
const MANY = 100; // the table begins with those that need a look

const grid = byId("grid");
const look = byId("nodes-look");
const filter = byId("nodes-filter");
const orders = [byId("by-rank"), byId("by-machine")];
let group = null;
let byMachine = false;
let began = false;
let chosen = null; // the key of a node

heads(byId("nodes-head"), COLUMNS);
for (const each of [look, filter]) each.addEventListener("input", () => group && draw(group));
for (const button of orders) {
  button.addEventListener("click", () => {
    byMachine = button.id === "by-machine";
    for (const each of orders) each.setAttribute("aria-pressed", String(each === button));
    if (group) draw(group);
  });
}

export function begin() {
  group = chosen = null;
  began = false;
  filter.value = "";
}

export function draw(newest) {
  group = newest;
  if (!began) {
    look.checked = group.nodes.length > MANY;
    began = true;
  }
  byId("nodes").classList.toggle("look", look.checked);
  text(byId("nodes-title"), `Nodes (${group.nodes.length})`);
  keyed(byId("counts"), group.counts, (each) => `${each.tone}/${each.what}`, count, (made, each) => text(made.lastChild, `${each.count} ${each.what}`));
  const words = filter.value.trim().toLowerCase();
  const fits = group.nodes.map((node) => !words || has(words, [node.participant, node.pod, node.machine, node.state, node.evidence, node.mark]));
  drawGrid(fits);
  drawTable(group.nodes.filter((node, at) => fits[at] && (!look.checked || node.tone === "bad" || node.tone === "waits")), words);
  drawChosen();
}

function count(each) {
  const made = make("li");
  const box = make("span", "cell sample");
  box.dataset.tone = each.tone;
  made.append(box, make("span"));
  return made;
}

// ---- the grid

function drawGrid(fits) {
  grid.hidden = byId("by-rank").parentElement.hidden = group.nodes.length <= FEW;
  if (grid.hidden) return;
  grid.classList.toggle("small", group.nodes.length > 64);
  const faded = new Set(group.nodes.filter((_, at) => !fits[at]));
  const update = (cell, node) => {
    text(cell, node.mark);
    attribute(cell, "data-tone", node.tone);
    attribute(cell, "data-key", node.key);
    attribute(cell, "aria-selected", String(node.key === chosen));
    attribute(cell, "tabindex", node.key === chosen ? "0" : "-1");
    cell.classList.toggle("faded", faded.has(node));
  };
  const machines = new Map([["", group.nodes]]);
  if (byMachine) {
    machines.clear();
    for (const node of group.nodes) {
      const name = node.machine ?? "no machine";
      if (!machines.has(name)) machines.set(name, []);
      machines.get(name).push(node);
    }
  }
  const names = [...machines.keys()].sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
  keyed(grid, names, (name) => `machine ${name}`, (name) => machine(name), (made, name) => {
    keyed(made.lastChild, machines.get(name), (node) => node.key, cell, update);
  });
  // The tab key leads to one cell, and the arrow keys from there to the others.
  if (!grid.querySelector('[tabindex="0"]')) gridCells()[0].tabIndex = 0;
}

function machine(name) {
  const made = make("div", name ? "machine" : "machine all");
  made.append(make("span", "of", name), make("div", "cells"));
  attribute(made, "role", "presentation");
  return made;
}

function cell() {
  const made = make("span", "cell");
  attribute(made, "role", "option");
  return made;
}

const gridCells = () => [...grid.querySelectorAll(".cell")];

grid.addEventListener("focusin", (event) => choose(event.target.closest(".cell")));
grid.addEventListener("click", (event) => event.target.closest(".cell")?.focus());
grid.addEventListener("keydown", (event) => {
  const here = event.target.closest(".cell");
  const to = here && next(here, event.key);
  if (!to) return;
  to.focus();
  event.preventDefault();
});

/** The cell to which a key leads; above and below it is the nearest one of the next line. */
function next(here, key) {
  const all = gridCells();
  const at = all.indexOf(here);
  if (key === "ArrowRight") return all[at + 1];
  if (key === "ArrowLeft") return all[at - 1];
  if (key === "Home") return all[0];
  if (key === "End") return all.at(-1);
  if (key !== "ArrowDown" && key !== "ArrowUp") return null;
  const mine = here.getBoundingClientRect();
  const rest = key === "ArrowDown" ? all.slice(at + 1) : all.slice(0, at).reverse();
  let line = null;
  let best = null;
  for (const each of rest) {
    const place = each.getBoundingClientRect();
    if (Math.abs(place.top - mine.top) < 2) continue;
    line ??= place.top;
    if (Math.abs(place.top - line) > 2) break;
    const distance = Math.abs(place.left - mine.left);
    if (!best || distance < best.distance) best = { each, distance };
  }
  return best?.each;
}

function choose(made) {
  if (!made) return;
  for (const each of grid.querySelectorAll('[tabindex="0"], [aria-selected="true"]')) {
    each.tabIndex = -1;
    attribute(each, "aria-selected", "false");
  }
  made.tabIndex = 0;
  attribute(made, "aria-selected", "true");
  chosen = made.dataset.key;
  drawChosen();
  const node = group.nodes.find((each) => each.key === chosen);
  if (node) attribute(made, "aria-label", said(node));
}

function drawChosen() {
  const node = chosen && !grid.hidden ? group.nodes.find((each) => each.key === chosen) : null;
  byId("chosen").hidden = !node;
  if (node) text(byId("chosen"), said(node));
}

function said(node) {
  const who = `${node.rank === null ? node.kind : `rank ${node.rank}`}: ${node.pod ?? node.participant}${node.machine ? ` on ${node.machine}` : ""}`;
  return [who, node.state, node.heartbeat && `heartbeat ${node.heartbeat} ago`, node.evidence, node.peers].filter(Boolean).join(" · ");
}

// ---- the table

function drawTable(found, words) {
  byId("nodes-table").hidden = found.length === 0;
  byId("nodes-table").classList.toggle("no-peers", !group.nodes.some((node) => node.peers));
  byId("nodes-none").hidden = found.length > 0;
  if (!group.nodes.length) text(byId("nodes-none"), "No node, and no labelled pod, is there.");
  else if (words) text(byId("nodes-none"), "No node has this text.");
  else text(byId("nodes-none"), "No node needs a look.");
  keyed(byId("nodes-body"), found, (node) => node.key, row, (made, node) => {
    COLUMNS.forEach(([name], place) => {
      const value = name === "pod" ? (node.pod ?? node.participant) : node[name];
      text(name === "state" ? made.children[place].firstChild : made.children[place], value);
    });
    attribute(made.children[3].firstChild, "data-tone", node.tone);
  });
}

function row() {
  const made = cells(COLUMNS);
  made.children[3].append(make("span", "badge"));
  return made;
}
