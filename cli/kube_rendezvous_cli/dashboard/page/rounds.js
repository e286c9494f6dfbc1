// The rounds of a group: one axis of time, and a table of what ended each of them.

import { attribute, byId, cells, heads, keyed, make, text } from "./dom.js";

const COLUMNS = [
  ["round", "Round", "number"],
  ["began", "Began", "number"],
  ["nodes", "Nodes", "number"],
  ["trained", "Trained", "number"],
  ["lost", "Lost", "number"],
  ["reason", "Ended by", ""],
  ["message", "Message", "long"],
];

heads(byId("rounds-head"), COLUMNS);

export function draw(group) {
  const none = group.rounds.length === 0;
  byId("rounds-none").hidden = !none;
  byId("rounds-table").hidden = none;
  byId("axis").hidden = byId("kinds").hidden = group.axis === null;
  text(byId("goodput"), group.goodput);
  if (group.axis) drawAxis(group);
  keyed(byId("rounds-body"), group.rounds, (each) => each.round, () => cells(COLUMNS), (made, each) => {
    COLUMNS.forEach(([name], place) => text(made.children[place], each[name]));
  });
}

function drawAxis(group) {
  const { seconds, begin, end, kinds } = group.axis;
  const share = (part) => `${((100 * part) / seconds).toFixed(3)}%`;
  keyed(byId("kinds"), kinds, (kind) => kind, kindOf, () => {});
  text(byId("axis-begin"), begin);
  text(byId("axis-end"), end);
  attribute(byId("axis"), "aria-label", `From ${begin} to ${end}. ${group.goodput}`);
  const spans = group.rounds.flatMap((each) => each.spans.map((span) => ({ ...span, round: each.round })));
  keyed(byId("axis-bar"), spans, (span) => `${span.round}/${span.kind}`, (span) => make("div", `span ${span.kind}`), (made, span) => {
    made.style.left = share(span.from);
    made.style.width = share(span.seconds);
    attribute(made, "title", `round ${span.round}: ${span.kind} ${span.duration}`);
  });
  keyed(byId("axis-numbers"), group.rounds.filter((each) => each.spans.length), (each) => each.round, (each) => make("span", "", each.round), (made, each) => {
    made.style.left = share(each.spans[0].from);
  });
}

function kindOf(kind) {
  const made = make("li");
  made.append(make("span", `sample span ${kind}`), make("span", "", kind));
  return made;
}
