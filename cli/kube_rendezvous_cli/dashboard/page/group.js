// One group: its head, why it is as it is, its nodes, its rounds.

import { attribute, byId, keyed, make, notes, text } from "./dom.js";
import * as nodes from "./nodes.js";
import * as rounds from "./rounds.js";

const FACTS = [
  ["run", "Run"], ["round", "Round"], ["nodes", "Nodes"], ["spares", "Spares"], ["restarts", "Restarts"],
  ["since", "Since"], ["last", "Last end of a round"],
];
const PAGES = "https://rdzv.dev/"; // no other address is ever linked

let first = true;

export function begin(name) {
  first = true;
  text(byId("group-title"), name.name);
  byId("group-there").hidden = true;
  byId("group-gone").hidden = true;
  nodes.begin();
}

export function draw(view, name) {
  const group = view.group;
  byId("group-there").hidden = group === null;
  byId("group-gone").hidden = group !== null;
  if (group === null) {
    text(byId("group-gone"), `There is no Rendezvous ${name.name} in the namespace ${name.namespace}.`);
    return;
  }
  text(byId("group-title"), group.name);
  text(byId("group-state"), group.state);
  attribute(byId("group-state"), "data-tone", group.tone || "idle");
  keyed(byId("group-facts"), FACTS, ([key]) => key, fact, (made, [key]) => text(made.lastChild, group.line[key]));
  notes(byId("group-notes"), group.problems);
  text(byId("why-text"), group.why.paragraph);
  text(byId("why-do"), group.why.toDo);
  if (group.why.page.startsWith(PAGES)) attribute(byId("why-page"), "href", group.why.page);
  nodes.draw(group);
  rounds.draw(group);
  if (first) byId("group-title").focus({ preventScroll: true });
  first = false;
}

function fact([, heading]) {
  const made = make("div");
  made.append(make("dt", "", heading), make("dd"));
  return made;
}
