// The page: its state, and how its parts act on one another.
import { ask, describe, isJson, isText } from "./api.js";
import { bodyOf, comparison, figures, latency } from "./answer.js";
import { button, byId, copy, el, newId, options, tabs } from "./dom.js";
import { makeForm } from "./form.js";
import { isObject, parse } from "./json.js";
import { inferred, initial, resolver } from "./schema.js";
import { BASE, fromFragment, history, linkOf, token } from "./session.js";
import { SNIPPETS } from "./snippets.js";
import * as TEXT from "./text.js";
import { tally, voting } from "./vote.js";

const MOST_FILE = 6_291_456;
const MOST_EDITED = 256_000;
const JSON_TYPE = "application/json";

/** What the OpenAPI document says, and the request that is being written. */
const page = { about: {}, document: {}, media: {}, samples: [], variants: [], outcomes: [] };
const request = { type: JSON_TYPE, text: "", file: null, isSample: false };
let form = null;
let running = null;
let showTab = () => {};

const word = (value) => (typeof value === "string" ? value : "");
const say = (text) => (byId("status").textContent = text);

// The endpoint's description

async function open() {
  showOnly(null);
  say(TEXT.loading);
  try {
    show(await describe());
  } catch (error) {
    if (error.status === 401) return askForToken(token.get() ? TEXT.tokenRefused : "");
    byId("broken-detail").textContent = TEXT.brokenDetail(error.status, error.detail ?? error.message);
    showOnly("broken");
  }
}

function showOnly(id) {
  for (const each of ["gate", "broken", "work"]) byId(each).hidden = each !== id;
}

function askForToken(error) {
  byId("gate-error").textContent = error;
  showOnly("gate");
  byId("token").focus();
}

function show(document) {
  const about = document?.info?.["x-ephemeral-endpoint"] ?? {};
  const operation = document?.paths?.["/invocations"]?.post ?? document?.paths?.[`${BASE}/invocations`]?.post ?? {};
  page.about = about;
  page.document = document;
  page.media = isObject(operation.requestBody?.content) ? operation.requestBody.content : {};
  page.samples = Object.entries(page.media).flatMap(([type, each]) => Object.entries(each?.examples ?? {}).map(([name, sample]) => sampleOf(name, type, sample)));
  page.variants = (Array.isArray(about.variants) ? about.variants : []).map((each) => (isObject(each) ? each : { name: each })).filter(({ name }) => word(name));
  byId("title").textContent = window.document.title = word(about.playground?.title) || word(about.name) || nameOfPath();
  byId("forget").hidden = !token.get();
  showFacts();
  showModes();
  showSamples();
  showHistory();
  say(TEXT.nothing);
  showOnly("work");
  if (request.text || request.file) drawForm();
  else start(fromLink);
}

const sampleOf = (name, type, sample) => ({
  name,
  description: word(sample?.summary) || word(sample?.description),
  type: type.includes("*") ? JSON_TYPE : type,
  text: typeof sample?.value === "string" && !isJson(type) ? sample.value : JSON.stringify(sample?.value ?? null, null, 2),
});

const nameOfPath = () => {
  try {
    return decodeURIComponent(BASE.slice(BASE.lastIndexOf("/") + 1));
  } catch {
    return BASE;
  }
};

function showFacts() {
  const { repository, pullRequest, pullRequestUrl, revision, expiresAt } = page.about;
  const origin = TEXT.pullRequest(word(repository), Number(pullRequest) || 0);
  const isLink = /^https:\/\//.test(word(pullRequestUrl));
  const short = word(revision).slice(0, 12);
  byId("facts").replaceChildren(...[
    origin && (isLink ? el("a", { href: pullRequestUrl, rel: "noopener noreferrer", target: "_blank" }, origin) : el("span", {}, origin)),
    short && el("span", { title: revision }, TEXT.revision(short)),
    word(expiresAt) && ends(new Date(expiresAt)),
  ].filter(Boolean));
}

function ends(moment) {
  const seconds = (moment - Date.now()) / 1000;
  if (Number.isNaN(seconds)) return null;
  const [unit, size] = [["day", 86_400], ["hour", 3_600], ["minute", 60]].find(([, size]) => Math.abs(seconds) >= size * 1.5) ?? ["minute", 60];
  const when = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" }).format(Math.round(seconds / size), unit);
  return el("time", { datetime: moment.toISOString(), title: moment.toLocaleString() }, seconds > 0 ? TEXT.expires(when) : TEXT.expired(when));
}

function showModes() {
  const weights = page.variants.reduce((sum, { weight }) => sum + (Number(weight) || 0), 0);
  const share = (weight) => (weights && weight !== undefined ? TEXT.share(Math.round((100 * weight) / weights)) : "");
  const several = page.variants.length > 1;
  byId("mode").replaceChildren(...options([
    ["split", TEXT.modes.split],
    ...(several ? page.variants.map(({ name, weight }) => [`one:${name}`, TEXT.modes.one(name, share(weight))]) : []),
    ...(several ? [["all", TEXT.modes.all], ["blind", TEXT.modes.blind]] : []),
    ...(page.about.compare === true ? [["base", TEXT.modes.base]] : []),
  ]));
}

function showSamples() {
  const chips = page.samples.map((sample) => button(sample.name, () => useSample(sample), { class: "chip", title: sample.description || null }));
  byId("samples").replaceChildren(...(chips.length ? [el("span", { class: "hint" }, TEXT.samples), ...chips] : []));
}

// The request

/** Begin with the request of the link, else the first sample, else what the schema offers. */
function start(given) {
  const types = Object.keys(page.media).filter((type) => !type.includes("*"));
  byId("medias").replaceChildren(...options(types.map((type) => [type, type])));
  if (given) {
    write(given);
    setMode(given.mode);
  } else if (page.samples.length) {
    useSample(page.samples[0]);
  } else {
    const { schema } = schemaFor(JSON_TYPE);
    write({ type: types[0] ?? JSON_TYPE, text: schema ? JSON.stringify(initial(schema, resolver(schema, page.document)), null, 2) : "" });
  }
  note("origin", given ? TEXT.fromLink : "");
  showTab(form ? "form" : "body");
}

const setMode = (mode) => {
  if ([...byId("mode").options].some(({ value }) => value === mode)) byId("mode").value = mode;
};

function note(id, ...parts) {
  byId(id).replaceChildren(...parts.filter(Boolean));
  byId(id).hidden = !byId(id).hasChildNodes();
}

function useSample(sample) {
  write({ ...sample, isSample: true });
  note("origin", sample.description);
}

function write({ type, text, file = null, isSample = false }, from = null) {
  Object.assign(request, { type, text, file, isSample });
  note("origin");
  showErrors([]);
  byId("media").value = type;
  if (from !== "body") byId("body").value = text;
  if (from !== "form") drawForm();
  judgeBody();
  showFile();
  showSnippet();
}

function schemaFor(type) {
  const media = page.media[type] ?? page.media["*/*"];
  if (isObject(media?.schema) && Object.keys(media.schema).length) return { schema: media.schema };
  const sample = request.isSample ? request.text : page.samples.find((each) => each.type === type)?.text;
  const body = sample && parsed(sample);
  return isObject(body?.value) && !body.lossy ? { schema: inferred(body.value), isInferred: true } : {};
}

function parsed(text) {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

function drawForm() {
  const panel = byId("panel-form");
  const lacks = (why) => {
    form = null;
    panel.replaceChildren(el("p", { class: "note" }, TEXT.noForm[why]));
  };
  if (request.file) return lacks("file");
  if (!isJson(request.type)) return lacks("type");
  const { schema, isInferred } = schemaFor(request.type);
  if (!schema) return lacks("unknown");
  const body = parsed(request.text);
  if (!body) return lacks("invalid");
  if (body.lossy) return lacks("lossy");
  const onchange = (value) => write({ ...request, isSample: false, text: JSON.stringify(value, null, 2) ?? "" }, "form");
  form = makeForm({ schema, resolve: resolver(schema, page.document), value: body.value, onchange });
  panel.replaceChildren(form.node, isInferred ? el("p", { class: "hint" }, TEXT.inferred) : "");
}

function judgeBody() {
  let error = "";
  if (isJson(request.type) && !request.file) {
    try {
      JSON.parse(request.text);
    } catch (failure) {
      error = TEXT.invalidJson(failure.message);
    }
  }
  byId("body-error").textContent = error;
  byId("body").setAttribute("aria-invalid", String(error !== ""));
}

async function useFile(file) {
  if (!file) return;
  if (file.size > MOST_FILE) return note("origin", TEXT.fileTooLarge(TEXT.bytes(file.size)));
  const type = file.type || "application/octet-stream";
  if (isText(type) && file.size <= MOST_EDITED) write({ type, text: await file.text() });
  else write({ type, text: "", file });
  showTab("body");
}

function showFile() {
  const { file } = request;
  byId("body").disabled = file !== null;
  if (!file) return note("file");
  const remove = button(TEXT.fileRemove, () => {
    byId("pick").value = "";
    write({ type: JSON_TYPE, text: request.text });
  }, { class: "quiet small" });
  const preview = /^image\/(png|jpeg|gif|webp)$/.test(file.type) && el("img", { src: URL.createObjectURL(file), alt: "", class: "picture" });
  note("file", TEXT.fileBody(file.name, TEXT.bytes(file.size)), remove, preview);
}

function showSnippet() {
  const panel = byId("panel-code");
  if (panel.hidden) return;
  const { variant, target } = plan(byId("mode").value).at(-1);
  const headers = [["Content-Type", request.type], ["eep-variant", variant], ["eep-target", target]].filter(([, value]) => value);
  const about = { ...request, url: `${location.origin}${BASE}/invocations`, headers, text: request.file ? null : request.text };
  const entries = Object.entries(SNIPPETS).map(([name, write]) => {
    const code = write(about).join("\n");
    const copier = button(TEXT.copy, () => copy(code, copier), { class: "quiet small" });
    return [name, name, el("div", { id: newId("code"), class: "snippet" }, copier, el("pre", { class: "code", tabindex: "0" }, code))];
  });
  const { node, show } = tabs(TEXT.tabs.code, entries, (name) => (panel.dataset.language = name));
  panel.replaceChildren(node, ...entries.map(([, , each]) => each));
  show(panel.dataset.language ?? "curl");
}

function showErrors(errors) {
  const homeless = form ? form.mark(errors) : errors;
  byId("errors").replaceChildren(...homeless.map(({ pointer, detail }) => el("li", {}, TEXT.at(pointer, detail))));
  byId("errors").hidden = homeless.length === 0;
}

// Sending

/** Who is asked in a mode: the name of each answer, and what its request says. */
function plan(mode) {
  if (mode.startsWith("one:")) return [{ name: "", variant: mode.slice(4) }];
  if (mode === "base") return [{ name: TEXT.base, target: "base" }, { name: TEXT.head }];
  if (mode === "all" || mode === "blind") return page.variants.map(({ name }) => ({ name, variant: name }));
  return [{ name: "" }];
}

function shuffled(list) {
  const keys = crypto.getRandomValues(new Uint32Array(list.length));
  return list.map((each, index) => [keys[index], each]).sort(([left], [right]) => left - right).map(([, each]) => each);
}

async function send() {
  if (running) return;
  const mode = byId("mode").value;
  const asked = mode === "blind" ? shuffled(plan(mode)) : plan(mode);
  const controller = new AbortController();
  running = controller;
  busy(true);
  showErrors([]);
  say(TEXT.sending);
  const started = performance.now();
  const since = () => Math.round((performance.now() - started) / 1000);
  const clock = setInterval(() => (byId("clock").textContent = TEXT.seconds(since())), 1000);
  const onwait = (times, detail) => say(detail === undefined ? TEXT.queued : TEXT.starting(detail, times, since()));
  const sent = { body: request.file ?? request.text, type: request.type };
  let outcomes = null;
  try {
    outcomes = await Promise.all(asked.map((each) => ask({ ...sent, ...each }, { signal: controller.signal, onwait })));
  } catch (error) {
    controller.abort();
    say(error.name === "AbortError" ? TEXT.cancelled : TEXT.failed);
  }
  clearInterval(clock);
  byId("clock").textContent = "";
  running = null;
  busy(false);
  if (outcomes) finished(outcomes.map((each, index) => ({ ...each, name: asked[index].name })), mode);
}

function busy(is) {
  byId("go").disabled = is;
  byId("cancel").hidden = !is;
  byId("answer").setAttribute("aria-busy", String(is));
}

function finished(outcomes, mode) {
  const refused = outcomes.find(({ status }) => status === 401);
  if (refused) return askForToken(TEXT.tokenRefused);
  showAnswers(outcomes, mode === "blind");
  remember(mode, outcomes);
  const bad = outcomes.find(({ status, errors }) => status === 400 && errors?.length);
  say(bad ? TEXT.badFields(bad.errors.length) : TEXT.done(outcomes.length));
  if (bad) showErrors(bad.errors);
}

function showAnswers(outcomes, isBlind = false) {
  const pointers = page.about.playground?.answer;
  const names = outcomes.map(({ name }, index) => (isBlind ? TEXT.letter(index) : name));
  const compared = outcomes.slice(1).map((each, index) => comparison(outcomes[0], each, [names[0], names[index + 1]]));
  const changed = (index) => (index ? compared[index - 1].changed : new Set(compared.flatMap((each) => [...each.changed])));
  const counts = el("div", { class: "counts", role: "status" });
  const waiting = new Set(outcomes.filter(({ feedbackId }) => feedbackId));
  let latest = {};
  const secrets = [];
  const reveal = () => {
    secrets.forEach((each) => each());
    if (veil) veil.remove();
    counts.replaceChildren(...tally(latest));
  };
  const veil = isBlind && el("div", { class: "note line" }, el("span", {}, TEXT.hiddenUntil), button(TEXT.reveal, reveal, { class: "quiet small" }));
  const panes = outcomes.map((outcome, index) => {
    const heading = el("h3", {}, names[index]);
    const about = el("div", { hidden: isBlind }, latency(outcome), figures(outcome));
    secrets.push(() => {
      heading.textContent = outcome.name;
      about.hidden = false;
    });
    const voted = (counted) => {
      latest = counted;
      waiting.delete(outcome);
      if (!isBlind || waiting.size === 0) reveal();
    };
    const votes = outcome.feedbackId && page.about.feedback !== false && voting(outcome.feedbackId, voted);
    return el("article", { class: "pane", "aria-label": names[index] || TEXT.answer }, heading, bodyOf(outcome, pointers, changed(index)), about, votes);
  });
  byId("answers").replaceChildren(...[veil, ...compared.map(({ node }) => node), el("div", { class: "panes" }, panes), counts].filter(Boolean));
  byId("bench").classList.toggle("wide", outcomes.length > 1);
}

// What this tab remembers

function remember(mode, outcomes) {
  const answers = outcomes.map(({ blob: _, ...outcome }) => ({ ...outcome, feedbackId: null }));
  history.add({ at: Date.now(), mode, type: request.type, text: request.file ? null : request.text, answers });
  showHistory();
}

function showHistory() {
  const entries = history.all();
  byId("clear").hidden = entries.length === 0;
  byId("history").replaceChildren(...(entries.length ? entries.map(line) : [el("li", { class: "hint" }, TEXT.noHistory)]));
}

function line(entry) {
  const statuses = entry.answers.map(({ status }) => status).join(", ");
  const restore = button(entry.note ?? (entry.text ?? "").replace(/\s+/g, " ").slice(0, 100), () => {
    if (entry.text !== null) write({ type: entry.type, text: entry.text });
    setMode(entry.mode);
    if (entry.answers.length) showAnswers(entry.answers, false);
    say(TEXT.restored);
  }, { class: "entry" });
  return el("li", {}, el("time", { class: "hint" }, new Date(entry.at).toLocaleTimeString()), restore, el("span", { class: "hint" }, statuses));
}

function link() {
  const { type, text, file } = request;
  const made = file ? null : linkOf({ type, text, mode: byId("mode").value });
  if (!made) return say(file ? TEXT.linkFile : TEXT.linkTooLarge);
  copy(made, byId("link"));
  say(TEXT.linkCopied);
}

// The start

function theme() {
  const select = byId("theme");
  const set = (value) => (document.documentElement.dataset.theme = value);
  select.append(...options(Object.entries(TEXT.themes)));
  try {
    select.value = localStorage.getItem("eep:theme") ?? "system";
  } catch {
    // Without storage, the system's theme it is.
  }
  set(select.value || "system");
  select.addEventListener("change", () => {
    set(select.value);
    try {
      localStorage.setItem("eep:theme", select.value);
    } catch {
      // The choice then lasts as long as the page.
    }
  });
}

function listen() {
  const on = (id, event, action) => byId(id).addEventListener(event, action);
  const submitted = (action) => (event) => {
    event.preventDefault();
    action();
  };
  on("gate-form", "submit", submitted(() => {
    token.set(byId("token").value.trim());
    byId("token").value = "";
    open();
  }));
  on("send", "submit", submitted(send));
  on("again", "click", open);
  on("forget", "click", () => {
    token.forget();
    byId("forget").hidden = true;
    askForToken("");
  });
  on("cancel", "click", () => running?.abort(new DOMException("", "AbortError")));
  on("link", "click", link);
  on("clear", "click", () => {
    history.clear();
    showHistory();
  });
  on("mode", "change", showSnippet);
  on("body", "input", () => write({ ...request, isSample: false, text: byId("body").value }, "body"));
  on("media", "input", () => write({ ...request, type: byId("media").value.trim() || JSON_TYPE }));
  on("pick", "change", () => useFile(byId("pick").files[0]));
  on("request", "dragover", (event) => event.preventDefault());
  on("request", "drop", (event) => {
    const [file] = event.dataTransfer.files;
    if (file) event.preventDefault();
    useFile(file);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || byId("work").hidden) return;
    event.preventDefault();
    send();
  });
  setInterval(showFacts, 60_000);
}

function build() {
  byId("title").textContent = document.title = nameOfPath();
  const entries = Object.entries(TEXT.tabs).map(([id, text]) => [id, text, byId(`panel-${id}`)]);
  const made = tabs(TEXT.request, entries, showSnippet);
  byId("request-tabs").append(made.node);
  showTab = made.show;
  showTab("form");
}

build();
theme();
listen();
const fromLink = fromFragment();
open();
