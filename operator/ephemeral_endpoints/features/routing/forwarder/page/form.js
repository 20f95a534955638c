// A form for a value of a JSON Schema. Each control knows its value and hands a new one to the control around it.
import { button, el, newId, options } from "./dom.js";
import { below, isObject } from "./json.js";
import { alternatives, initial, kindOf, matching } from "./schema.js";
import * as TEXT from "./text.js";

const MOST_ROWS = 100;
const DEEPEST_FORM = 8;
const SHORT = 120;
const INPUTS = { date: "date", time: "text", email: "email", uri: "url" };

/** The form's element, and `mark`, which shows errors beside their fields and returns those without one. */
export function makeForm({ schema, resolve, value, onchange }) {
  const fields = new Map();
  const context = { resolve, fields, depth: 0 };
  const node = field(context, { schema, pointer: "", label: TEXT.request, value, required: true, bare: true, set: onchange });
  return { node, mark: (errors) => mark(fields, errors) };
}

function mark(fields, errors) {
  for (const { control, message } of fields.values()) {
    message.textContent = "";
    control.removeAttribute("aria-invalid");
  }
  const homeless = errors.filter(({ pointer, detail }) => {
    const found = nearest(fields, pointer);
    if (!found) return true;
    found.message.textContent = [found.message.textContent, detail].filter(Boolean).join(" ");
    found.control.setAttribute("aria-invalid", "true");
    return false;
  });
  document.querySelector("#panel-form [aria-invalid=true]")?.focus();
  return homeless;
}

/** The field of a pointer, or of what is around it: a missing member has no field of its own. */
function nearest(fields, pointer) {
  while (pointer && !fields.has(pointer)) pointer = pointer.slice(0, pointer.lastIndexOf("/"));
  return pointer ? fields.get(pointer) : undefined;
}

function field(context, { schema: given, ...about }) {
  const schema = context.resolve(given);
  const kind = context.depth > DEEPEST_FORM || !holds(kindOf(schema), about.value) ? "raw" : kindOf(schema);
  const deeper = { ...context, depth: context.depth + 1 };
  const title = typeof schema.title === "string" && schema.title ? schema.title : about.label;
  return CONTROLS[kind](deeper, { ...about, schema, label: title });
}

const HOLDS = {
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: (value) => typeof value === "number",
  boolean: (value) => typeof value === "boolean",
  object: isObject,
  array: (value) => Array.isArray(value) && value.length <= MOST_ROWS,
};

const holds = (kind, value) => value === undefined || !HOLDS[kind] || HOLDS[kind](value);

/** A control with its label, what the schema says of it, and a place for its error. */
function labelled(context, about, control, ...beside) {
  const [id, hintId, errorId] = ["f", "h", "e"].map(newId);
  const hints = [about.schema.description, limits(about.schema)].filter((each) => typeof each === "string" && each);
  const message = el("p", { id: errorId, class: "error" });
  control.id = id;
  control.setAttribute("aria-describedby", hints.length ? `${hintId} ${errorId}` : errorId);
  if (about.required) control.setAttribute("aria-required", "true");
  context.fields.set(about.pointer, { control, message });
  return el("div", { class: "field" },
    el("label", { for: id }, about.label, !about.required && el("span", { class: "optional" }, ` ${TEXT.optional}`)),
    control, beside,
    hints.length > 0 && el("p", { id: hintId, class: "hint" }, hints.join(" · ")),
    message);
}

function limits({ minimum: least, maximum: most, maxLength }) {
  if (least !== undefined && most !== undefined) return TEXT.limits.between(least, most);
  if (least !== undefined) return TEXT.limits.least(least);
  if (most !== undefined) return TEXT.limits.most(most);
  return maxLength === undefined ? "" : TEXT.limits.characters(maxLength);
}

/** A box around controls: legend, the controls, and a place for the error of the whole. */
function group(context, about, ...inner) {
  if (about.bare) return el("div", {}, inner);
  const message = el("p", { id: newId("e"), class: "error" });
  const control = el("fieldset", { tabindex: "-1", "aria-describedby": message.id },
    el("legend", {}, about.label),
    typeof about.schema.description === "string" && el("p", { class: "hint" }, about.schema.description),
    inner, message);
  context.fields.set(about.pointer, { control, message });
  return control;
}

function chosen(context, about, pairs) {
  const all = about.required ? pairs : [[undefined, TEXT.unset], ...pairs];
  const index = all.findIndex(([value]) => JSON.stringify(value) === JSON.stringify(about.value));
  const control = el("select", { onchange: () => about.set(all[control.value][0]), value: String(Math.max(0, index)) },
    options(all.map(([, text], place) => [String(place), text])));
  return labelled(context, about, control);
}

function typed(context, about, control, read) {
  control.value = about.value ?? "";
  control.addEventListener("input", () => about.set(read(control.value)));
  return labelled(context, about, control);
}

function number(context, about) {
  const { minimum: min, maximum: max, multipleOf } = about.schema;
  const step = kindOf(about.schema) === "integer" ? multipleOf ?? 1 : "any";
  const control = el("input", { type: "number", min, max, step, inputmode: "decimal" });
  return typed(context, about, control, (text) => (text === "" ? absent(about) : Number(text)));
}

/** What stands for an empty control: null where the schema takes it, else nothing. */
const absent = ({ schema }) => ([].concat(schema.type).includes("null") ? null : undefined);

function string(context, about) {
  const { schema } = about;
  if (schema.contentEncoding === "base64") return encoded(context, about);
  const type = INPUTS[schema.format];
  const short = type || schema.pattern || schema.format || schema.maxLength <= SHORT;
  const control = short ? el("input", { type: type ?? "text", spellcheck: "false" }) : el("textarea", { rows: 3, dir: "auto" });
  return typed(context, about, control, (text) => (text === "" && !about.required ? absent(about) : text));
}

function encoded(context, about) {
  const control = el("textarea", { rows: 2, class: "code", spellcheck: "false", placeholder: TEXT.base64 });
  const take = async (file) => {
    if (!file) return;
    control.value = await base64(file);
    about.set(control.value);
  };
  const pick = el("input", { type: "file", "aria-label": `${about.label}: ${TEXT.base64}`, onchange: () => take(pick.files[0]) });
  const node = typed(context, about, control, (text) => text);
  node.insertBefore(pick, control.nextSibling);
  node.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    take(event.dataTransfer.files[0]);
  });
  return node;
}

async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

function boolean(context, about) {
  if (!about.required) return chosen(context, about, [[true, TEXT.yes], [false, TEXT.no]]);
  const control = el("input", { type: "checkbox", checked: about.value === true, onchange: () => about.set(control.checked) });
  const node = labelled(context, about, control);
  node.classList.add("check");
  return node;
}

function raw(context, about) {
  const text = about.value === undefined ? "" : JSON.stringify(about.value, null, 2);
  const control = el("textarea", { rows: Math.min(8, text.split("\n").length + 1), class: "code", spellcheck: "false" });
  control.value = text;
  const node = labelled(context, about, control);
  control.addEventListener("input", () => {
    const { message } = context.fields.get(about.pointer);
    try {
      about.set(control.value.trim() ? JSON.parse(control.value) : undefined);
      message.textContent = "";
    } catch (error) {
      message.textContent = TEXT.invalidJson(error.message);
    }
    control.setAttribute("aria-invalid", String(message.textContent !== ""));
  });
  return node;
}

function constant(context, about) {
  const value = about.schema.const;
  const control = el("input", { readonly: true, value: typeof value === "string" ? value : JSON.stringify(value) });
  if (about.required && about.value === undefined) about.set(value);
  return labelled(context, about, control);
}

/** A control that replaces itself when its shape changes; `draw` gets a function that does so. */
function redrawn(context, about, draw) {
  const place = el("div", { class: "contents" });
  function show(value) {
    for (const pointer of context.fields.keys()) if (pointer.startsWith(`${about.pointer}/`)) context.fields.delete(pointer);
    place.replaceChildren(draw(value, (next) => {
      about.set(next);
      show(next);
    }));
  }
  show(about.value);
  return place;
}

const addition = (about, value) => button(TEXT.add(about.label), value, { class: "quiet add" });
const withdrawal = (about, change) => button(TEXT.remove(about.label), () => change(undefined), { class: "quiet small" });
const removal = (label, onclick) => button("×", onclick, { class: "quiet remove", "aria-label": TEXT.remove(label), title: TEXT.remove(label) });

function object(context, about) {
  return redrawn(context, about, (given, change) => {
    if (given === undefined && !about.required) return addition(about, () => change(initial({ ...about.schema, default: undefined }, context.resolve)));
    let current = given ?? {};
    const members = Object.entries(about.schema.properties).map(([name, schema]) =>
      field(context, {
        schema,
        pointer: below(about.pointer, name),
        label: name,
        required: about.schema.required?.includes(name) ?? false,
        value: Object.hasOwn(current, name) ? current[name] : undefined,
        set: (value) => {
          const { [name]: _, ...others } = current;
          current = value === undefined ? others : { ...current, [name]: value };
          about.set(current);
        },
      }));
    return group(context, about, members, !about.required && withdrawal(about, change));
  });
}

function array(context, about) {
  const { items, maxItems = MOST_ROWS } = about.schema;
  return redrawn(context, about, (given, change) => {
    let current = given ?? [];
    const without = (index) => current.filter((_, place) => place !== index);
    const rows = current.map((value, index) => {
      const label = TEXT.item(about.label, index + 1);
      const set = (next) => {
        current = current.map((each, place) => (place === index ? next ?? null : each));
        about.set(current);
      };
      const inner = field(context, { schema: items, pointer: below(about.pointer, index), label, required: true, value, set });
      return el("div", { class: "row" }, inner, removal(label, () => change(current.length > 1 || about.required ? without(index) : undefined)));
    });
    const add = current.length < maxItems && addition(about, () => change([...current, initial(items, context.resolve)]));
    return group(context, { ...about, bare: false }, rows, add);
  });
}

function choices(context, about) {
  const all = alternatives(about.schema).map(context.resolve);
  return redrawn(context, about, (given, change) => {
    const start = (index) => change(initial(all[index], context.resolve));
    if (given === undefined && !about.required) return addition(about, () => start(0));
    const index = matching(all, given, context.resolve);
    const names = all.map((each, place) => [String(place), each.title ?? TEXT.alternative(place + 1)]);
    const control = el("select", { onchange: () => start(Number(control.value)), value: String(index) }, options(names));
    const id = newId("f");
    control.id = id;
    return group(context, { ...about, bare: false },
      el("div", { class: "field" }, el("label", { for: id }, TEXT.kind(about.label)), control),
      field(context, { ...about, schema: all[index], required: true, value: given, bare: kindOf(all[index]) === "object" }),
      !about.required && withdrawal(about, change));
  });
}

const CONTROLS = {
  alternatives: choices,
  array,
  boolean,
  choice: (context, about) => chosen(context, about, about.schema.enum.map((value) => [value, typeof value === "string" ? value : JSON.stringify(value)])),
  constant,
  integer: number,
  number,
  object,
  raw,
  string,
};
