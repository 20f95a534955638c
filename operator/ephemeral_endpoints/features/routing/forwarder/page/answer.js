// Answers for reading: by the pointers of the endpoint, as tree, table, text or image; and what differs between two.
import { isJson } from "./api.js";
import { button, copy, el, newId, tabs } from "./dom.js";
import { at, below, differences, isDeep, isObject, isScalar, legible, MOST_DIFFERENCES, words } from "./json.js";
import * as TEXT from "./text.js";

const MOST_NODES = 2_000;
const MOST_TEXT = 100_000;
const MOST_CELLS = 100;
const MOST_BARS = 20;
const IMAGE = /^data:image\/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+$/;
const MAGIC = { iVBORw0KGgo: "png", "/9j/": "jpeg", R0lGOD: "gif", UklGR: "webp" };
const RASTER = /^image\/(png|jpeg|gif|webp)\b/;

/** What an answer says: {value} of JSON, {words} of text, or nothing. */
export function content(outcome) {
  if (outcome.text === null || outcome.status >= 400) return {};
  if (!isJson(outcome.type)) return { words: outcome.text };
  try {
    const value = legible(outcome.text);
    return isDeep(value) ? {} : { value };
  } catch {
    return {};
  }
}

/** The status and the body of an answer in two views. `changed` holds the pointers to mark. */
export function bodyOf(outcome, pointers, changed = new Set()) {
  const readable = el("div", { id: newId("view"), tabindex: "0" }, problem(outcome), readably(outcome, pointers, changed));
  const raw = el("div", { id: newId("view"), tabindex: "0" }, verbatim(outcome));
  const { node, show } = tabs(TEXT.answer, [["read", TEXT.views.read, readable], ["raw", TEXT.views.raw, raw]]);
  show("read");
  const state = el("span", { class: outcome.status < 400 ? "badge good" : "badge bad" }, String(outcome.status));
  return el("div", { class: "body" }, el("div", { class: "head" }, node, state), readable, raw);
}

function problem(outcome) {
  if (outcome.status < 400) return null;
  const errors = (outcome.errors ?? []).map(({ pointer, detail }) => el("li", {}, TEXT.at(pointer, detail)));
  return el("div", { class: "problem" },
    el("p", {}, el("strong", {}, TEXT.problemOf(outcome.status, outcome.title ?? "")), outcome.detail && ` ${outcome.detail}`),
    errors.length > 0 && el("ul", {}, errors));
}

function readably(outcome, pointers, changed) {
  const { value, words: text } = content(outcome);
  if (value !== undefined) {
    const figures = highlights(value, pointers, changed);
    const whole = tree(value, changed);
    return figures.length ? [figures, el("details", {}, el("summary", {}, TEXT.whole), whole)] : whole;
  }
  if (text !== undefined) return prose(text);
  if (outcome.blob && RASTER.test(outcome.type)) return picture(URL.createObjectURL(outcome.blob));
  return outcome.status < 400 || !outcome.errors?.length ? verbatim(outcome) : null;
}

function highlights(value, pointers, changed) {
  const [label, score, text, image] = ["label", "score", "text", "image"].map((name) => at(value, pointers?.[name]));
  const isChanged = (name) => changed.has(pointers?.[name]);
  const parts = [];
  if (label !== undefined || score !== undefined) parts.push(verdict(label, score, isChanged("label")));
  if (text !== undefined) parts.push(prose(typeof text === "string" ? text : JSON.stringify(text)));
  const source = imageSource(image);
  if (source) parts.push(picture(source));
  return parts;
}

/** A label with its score; or all labels, best first, where the scores are an object or lists in step. */
function verdict(label, score, isChanged) {
  const name = isScalar(label) && label !== undefined && el("p", { class: "label" }, isChanged ? marked(String(label)) : String(label));
  if (typeof score === "number") return el("div", { class: "verdict" }, name, bar(String(label ?? ""), score, false));
  const all = Array.isArray(label) && Array.isArray(score) ? label.map((each, index) => [each, score[index]]) : isObject(score) ? Object.entries(score) : [];
  const bars = all.filter(([, each]) => typeof each === "number").sort(([, left], [, right]) => right - left);
  return el("div", { class: "verdict" }, name, bars.slice(0, MOST_BARS).map(([each, number]) => bar(String(each), number, true)));
}

function bar(label, score, named) {
  const fill = el("span");
  fill.style.width = `${100 * score}%`;
  const isShare = score >= 0 && score <= 1;
  const about = { class: "track", role: "meter", "aria-valuenow": score, "aria-valuemin": 0, "aria-valuemax": 1, "aria-label": label || TEXT.answer };
  return el("div", { class: "bar" }, named && el("span", {}, label), isShare && el("div", about, fill), el("output", {}, shown(score)));
}

const shown = (score) => (Number.isInteger(score) ? String(score) : String(Number(score.toPrecision(4))));

const prose = (text) => el("p", { class: "prose", dir: "auto" }, text.slice(0, MOST_TEXT));

const marked = (text) => el("mark", {}, text, el("span", { class: "hidden" }, ` (${TEXT.changed})`));

function imageSource(value) {
  if (typeof value !== "string") return null;
  if (IMAGE.test(value)) return value;
  const type = Object.entries(MAGIC).find(([start]) => value.startsWith(start))?.[1];
  return type ? `data:image/${type};base64,${value}` : null;
}

const picture = (src) => el("img", { src, alt: TEXT.image, class: "picture" });

function tree(value, changed) {
  let left = MOST_NODES;
  return node(value, "", 0);

  function node(value, pointer, depth) {
    if (--left < 0) return el("span", { class: "hint" }, "…");
    if (isScalar(value)) return scalar(value, changed.has(pointer));
    if (isTable(value)) return table(value, pointer);
    const entries = Object.entries(value);
    if (!entries.length) return el("span", { class: "hint" }, Array.isArray(value) ? TEXT.emptyList : TEXT.emptyObject);
    const list = el("ul", { class: "tree" }, entries.slice(0, MOST_CELLS).map(([name, each]) =>
      el("li", {}, el("span", { class: "key" }, name), " ", node(each, below(pointer, name), depth + 1))),
      entries.length > MOST_CELLS && el("li", { class: "hint" }, TEXT.more(entries.length - MOST_CELLS)));
    if (depth === 0) return list;
    const size = Array.isArray(value) ? TEXT.items(entries.length) : TEXT.members(entries.length);
    return el("details", { open: depth < 3 || touches(changed, pointer) }, el("summary", {}, size), list);
  }

  function table(rows, pointer) {
    const names = [...new Set(rows.slice(0, MOST_CELLS).flatMap(Object.keys))];
    const cell = (row, index, name) => el("td", {}, Object.hasOwn(row, name) ? node(row[name], below(below(pointer, index), name), 3) : "");
    return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": TEXT.items(rows.length) },
      el("table", {},
        el("thead", {}, el("tr", {}, names.map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, rows.slice(0, MOST_CELLS).map((row, index) => el("tr", {}, names.map((name) => cell(row, index, name)))))),
      rows.length > MOST_CELLS && el("p", { class: "hint" }, TEXT.more(rows.length - MOST_CELLS)));
  }
}

const touches = (changed, pointer) => [...changed].some((each) => each.startsWith(`${pointer}/`));

const isTable = (value) => Array.isArray(value) && value.length > 0 && value.every((row) => isObject(row) && Object.keys(row).length > 0 && Object.keys(row).length <= 12);

function scalar(value, isChanged) {
  const source = imageSource(value);
  if (source) return picture(source);
  const text = typeof value === "string" ? value.slice(0, MOST_TEXT) : String(value);
  return el("span", { class: typeof value, dir: typeof value === "string" ? "auto" : null }, isChanged ? marked(text) : text);
}

function verbatim(outcome) {
  const { text, blob, size } = outcome;
  const parts = [];
  if (text !== null && text !== undefined) {
    parts.push(el("pre", { class: "code" }, text.slice(0, MOST_TEXT)));
    if (text.length > MOST_TEXT) parts.push(el("p", { class: "hint" }, TEXT.cut(TEXT.bytes(size))));
  }
  if (blob && (text === null || text.length > MOST_TEXT)) {
    // Without its type, the file cannot become a page of this origin when it is opened in a tab.
    const href = URL.createObjectURL(new Blob([blob], { type: "application/octet-stream" }));
    parts.push(el("a", { href, download: "answer" }, TEXT.save(TEXT.bytes(size))));
  }
  return parts;
}

/** What differs between two answers: {node, changed}. */
export function comparison(before, after, names) {
  const [left, right] = [before, after].map(content);
  const unfit = (left.value === undefined && left.words === undefined) || (left.value === undefined) !== (right.value === undefined);
  if (unfit || (right.value === undefined && right.words === undefined)) return { node: el("p", { class: "note" }, TEXT.notComparable), changed: new Set() };
  const found = differences(left.value ?? left.words, right.value ?? right.words);
  const all = found.slice(0, MOST_DIFFERENCES);
  const title = found.length > MOST_DIFFERENCES ? TEXT.changesMany(MOST_DIFFERENCES) : TEXT.changes(found.length);
  const heads = [TEXT.place, ...names].map((name) => el("th", { scope: "col" }, name));
  const table = el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title }, el("table", {},
    el("thead", {}, el("tr", {}, heads)),
    el("tbody", {}, all.map(change))));
  const node = el("section", { class: all.length ? "changes" : "changes same", "aria-label": title }, el("h3", {}, title), all.length > 0 && table);
  return { node, changed: new Set(all.map(({ pointer }) => pointer)) };
}

function change({ pointer, before, after }) {
  const cells = typeof before === "string" && typeof after === "string" ? wordCells(before, after) : [brief(before), brief(after)];
  if (typeof before === "number" && typeof after === "number") cells[1] = [cells[1], " ", delta(after - before)];
  return el("tr", {}, el("th", { scope: "row", class: "key" }, pointer || TEXT.wholePlace), cells.map((cell) => el("td", { dir: "auto" }, cell)));
}

const delta = (by) => el("span", { class: "delta" }, `${by > 0 ? "+" : "−"}${shown(Math.abs(by))}`);

function brief(value) {
  if (value === undefined) return el("span", { class: "hint" }, TEXT.missing);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 2_000 ? `${text.slice(0, 2_000)} …` : text;
}

function wordCells(before, after) {
  const runs = words(before.slice(0, MOST_TEXT), after.slice(0, MOST_TEXT));
  const side = (kind, name) => runs.filter(([each]) => each === "same" || each === kind).map(([each, text]) => (each === "same" ? text : el(name, {}, text)));
  return [side("before", "del"), side("after", "ins")];
}

/** Where the time went, as a bar and in words. */
export function latency({ milliseconds, timing = {} }) {
  const { model = 0, post = 0, total = model + post } = timing;
  const parts = [["model", model], ["post", post], ["forwarder", Math.max(0, total - model - post)], ["network", Math.max(0, milliseconds - total)]];
  const known = total > 0 ? parts.filter(([, each]) => each >= 0.5) : [];
  const line = el("div", { class: "latency", "aria-hidden": "true" }, known.map(([name, each]) => {
    const part = el("span", { class: name });
    part.style.flexGrow = each;
    return part;
  }));
  const legend = known.map(([name, each]) => el("span", { class: `part ${name}` }, `${TEXT.parts[name]} ${Math.round(each)}`));
  return el("div", {}, known.length > 0 && line, el("p", { class: "legend" }, el("strong", {}, TEXT.latency(Math.round(milliseconds))), legend));
}

/** Who answered: variant, revision and request id. */
export function figures({ variant, revision, requestId, attempts }) {
  const pair = (name, value, ...beside) => value && el("div", {}, el("dt", {}, TEXT.figures[name]), el("dd", {}, value, beside));
  const copier = button(TEXT.copy, () => copy(requestId, copier), { class: "quiet small", "aria-label": TEXT.copyId });
  return el("dl", { class: "figures" },
    pair("variant", variant), pair("revision", revision), pair("attempts", attempts > 1 && String(attempts)), pair("requestId", requestId, " ", copier));
}
