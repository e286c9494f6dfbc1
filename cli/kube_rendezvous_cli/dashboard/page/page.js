// Which view is shown, the stream of what it shows, and the keys. All of it is computed by kubectl rdzv; this draws it.

import { attribute, byId, text } from "./dom.js";
import * as group from "./group.js";
import * as groups from "./groups.js";

const LATE_MS = 15000; // the server says something at least every 10 seconds

let stream = null;
let shown = null; // the view: null for the list, or { namespace, name }
let late = 0;
let state = "";

/** The group that the address names; null: the list. */
function named() {
  const [namespace, name, ...more] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  return namespace && name && !more.length ? { namespace, name } : null;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function open() {
  stream?.close();
  const came = shown;
  shown = named();
  state = "";
  byId("groups").hidden = shown !== null;
  byId("group").hidden = shown === null;
  byId("main").setAttribute("aria-busy", "true");
  text(byId("where"), shown ? `${shown.namespace} / ${shown.name}` : "");
  if (shown) group.begin(shown);
  else groups.begin(came);
  window.scrollTo(0, 0);
  const mine = new EventSource(shown ? `events?${new URLSearchParams(shown)}` : "events");
  stream = mine;
  mine.onmessage = (event) => {
    if (mine === stream) draw(JSON.parse(event.data));
  };
  mine.onerror = () => {
    if (mine === stream) lost();
  };
  clearTimeout(late);
  late = setTimeout(lost, LATE_MS);
}

function draw(view) {
  clearTimeout(late);
  late = setTimeout(lost, LATE_MS);
  if (shown) group.draw(view, shown);
  else groups.draw(view);
  byId("main").removeAttribute("aria-busy");
  document.body.classList.toggle("stale", Boolean(view.stale));
  const banner = byId("banner");
  banner.hidden = !view.stale;
  if (view.stale) text(banner, `Stale since ${view.stale.since} (${view.stale.age}): ${view.stale.reason}. It is tried again.`);
  text(byId("live"), view.stale ? `as of ${view.clock}` : `live ${view.clock}`);
  attribute(byId("live"), "data-tone", view.stale ? "bad" : "good");
  const name = view.group ? `${view.group.name}: ${view.group.state}` : "groups";
  document.title = `${view.stale ? "stale, " : ""}${name} - kubectl rdzv`;
  if (view.group && view.group.state !== state) {
    if (state) text(byId("says"), `${view.group.name} is ${view.group.state} now`);
    state = view.group.state;
  }
}

function lost() {
  clearTimeout(late);
  document.body.classList.add("stale");
  byId("banner").hidden = false;
  text(byId("banner"), "kubectl rdzv dashboard does not answer. If it has ended, start it again: its page has a new address then.");
  text(byId("live"), "not connected");
  attribute(byId("live"), "data-tone", "bad");
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target instanceof HTMLInputElement && event.target.type === "search" ? event.target : null;
  if (event.key === "Escape") {
    if (field) {
      field.value = "";
      field.dispatchEvent(new Event("input"));
      field.blur();
    } else if (shown) {
      location.hash = "#/";
    }
    event.preventDefault();
  } else if (event.key === "/" && !field) {
    byId(shown ? "nodes-filter" : "groups-filter").focus();
    event.preventDefault();
  } else if (!shown && groups.key(event)) {
    event.preventDefault();
  }
});

window.addEventListener("hashchange", open);
open();
