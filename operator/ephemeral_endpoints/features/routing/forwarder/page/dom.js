// Elements. Text is always set as text: all that comes from a model or a pull request is hostile.
import * as TEXT from "./text.js";

const AS_PROPERTY = new Set(["checked", "disabled", "hidden", "value"]);

export const byId = (id) => document.getElementById(id);

/** An element with attributes, listeners (`onclick`) and children; an attribute that is false, null or undefined is left out. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  const options = Object.entries(attributes).filter(([, value]) => value !== false && value !== null && value !== undefined);
  for (const [key, value] of options) {
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else if (!AS_PROPERTY.has(key)) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== false && child !== null && child !== undefined));
  // The value of a select exists only once its options do.
  for (const [key, value] of options) if (AS_PROPERTY.has(key)) made[key] = value;
  return made;
}

export const button = (text, onclick, attributes = {}) => el("button", { type: "button", onclick, ...attributes }, text);

export const options = (pairs) => pairs.map(([value, text]) => el("option", { value }, text));

/** Tabs by the pattern of ARIA: one stop for Tab, arrows within. `onshow` is called with the id of the one that is shown. */
export function tabs(label, entries, onshow = () => {}) {
  const heads = entries.map(([id, text, panel]) => {
    const head = button(text, () => show(id), { role: "tab", id: `tab-${panel.id}`, "aria-controls": panel.id });
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", head.id);
    return head;
  });
  function show(chosen) {
    entries.forEach(([id, , panel], index) => {
      panel.hidden = id !== chosen;
      heads[index].setAttribute("aria-selected", id === chosen);
      heads[index].tabIndex = id === chosen ? 0 : -1;
    });
    onshow(chosen);
  }
  function move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (heads.indexOf(document.activeElement) + step + heads.length) % heads.length;
    heads[next].focus();
    show(entries[next][0]);
  }
  return { node: el("div", { role: "tablist", "aria-label": label, class: "tabs", onkeydown: move }, heads), show };
}

export async function copy(text, from) {
  const before = from.textContent;
  try {
    await navigator.clipboard.writeText(text);
    from.textContent = TEXT.copied;
  } catch {
    from.textContent = TEXT.copyFailed;
  }
  setTimeout(() => (from.textContent = before), 2000);
}

let made = 0;
export const newId = (prefix) => `${prefix}-${++made}`;
