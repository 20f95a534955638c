// A verdict on one answer, with a reason if one likes; the endpoint's counts come back with it.
import { vote } from "./api.js";
import { button, el, newId } from "./dom.js";
import * as TEXT from "./text.js";

const MOST_REASON = 2_000;

/** The controls for one answer. `onvoted` is told the counts by variant after each vote. */
export function voting(feedbackId, onvoted) {
  const said = el("p", { class: "hint", role: "status" });
  const id = newId("reason");
  const text = el("input", { id, maxlength: MOST_REASON, autocomplete: "off" });
  const form = el("form", { class: "reason", hidden: true, onsubmit: submit },
    el("label", { for: id }, TEXT.reason), el("div", { class: "line" }, text, el("button", {}, TEXT.sendReason)));
  const choices = [["up", TEXT.up, "↑"], ["down", TEXT.down, "↓"]].map(([verdict, word, sign]) =>
    button([el("span", { "aria-hidden": "true" }, sign), ` ${word}`], () => send(verdict, "", TEXT.voted), { "aria-pressed": "false", "data-verdict": verdict }));
  let given = null;

  function submit(event) {
    event.preventDefault();
    send(given, text.value.trim(), TEXT.reasonSent);
  }

  async function send(verdict, reason, done) {
    try {
      const counts = await vote(feedbackId, verdict, reason);
      given = verdict;
      for (const each of choices) each.setAttribute("aria-pressed", String(each.dataset.verdict === verdict));
      form.hidden = false;
      said.textContent = done;
      onvoted(counts);
    } catch (error) {
      said.textContent = TEXT.voteFailed(error.message);
    }
  }

  return el("div", { class: "vote", role: "group", "aria-label": TEXT.vote }, el("div", { class: "line" }, choices, said), form);
}

/** The counts of all variants. */
export function tally(counts) {
  const number = (value) => Math.max(0, Math.trunc(Number(value)) || 0);
  const rows = Object.entries(counts).map(([name, each]) => el("li", {}, TEXT.countOf(name, number(each?.up), number(each?.down))));
  return rows.length ? [el("h3", {}, TEXT.counts), el("ul", {}, rows)] : [];
}
