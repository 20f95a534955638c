// What of a JSON Schema the form understands. The server validates; here a schema only says which control fits.
import { at, isObject } from "./json.js";

const SIMPLE = ["string", "number", "integer", "boolean", "object", "array"];
const DEEPEST = 8;

/** A function that follows `$ref` within the schema, else within the document, and joins `allOf`. */
export function resolver(root, document) {
  return function resolve(schema, depth = 0) {
    if (!isObject(schema) || depth > DEEPEST) return {};
    if (typeof schema.$ref === "string" && schema.$ref.startsWith("#")) {
      const pointer = decode(schema.$ref.slice(1));
      const { $ref: _, ...beside } = schema;
      return { ...resolve(at(root, pointer) ?? at(document, pointer), depth + 1), ...beside };
    }
    if (!Array.isArray(schema.allOf)) return schema;
    const { allOf, ...own } = schema;
    return [...allOf.map((each) => resolve(each, depth + 1)), own].reduce((all, each) => ({
      ...all,
      ...each,
      properties: { ...all.properties, ...each.properties },
      required: [...(all.required ?? []), ...(each.required ?? [])],
    }), {});
  };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The control for a schema: constant, choice, alternatives, one of the simple types, or raw. */
export function kindOf(schema) {
  if (Object.hasOwn(schema, "const")) return "constant";
  if (Array.isArray(schema.enum)) return "choice";
  if (alternatives(schema)) return "alternatives";
  const declared = schema.type ?? (schema.properties ? "object" : schema.items ? "array" : "raw");
  const types = [].concat(declared).filter((type) => type !== "null");
  if (types.length !== 1 || !SIMPLE.includes(types[0])) return "raw";
  if (types[0] === "object" && !isObject(schema.properties)) return "raw";
  if (types[0] === "array" && (!isObject(schema.items) || schema.prefixItems)) return "raw";
  return types[0];
}

export const alternatives = (schema) => [schema.oneOf, schema.anyOf].find((each) => Array.isArray(each) && each.length);

/** A value to start from: what the schema offers, else the emptiest. */
export function initial(schema, resolve, depth = 0) {
  schema = resolve(schema);
  for (const value of [schema.default, schema.const, schema.examples?.[0], schema.enum?.[0]]) {
    if (value !== undefined) return value;
  }
  if (depth > DEEPEST) return null;
  const next = (each) => initial(each, resolve, depth + 1);
  switch (kindOf(schema)) {
    case "alternatives":
      return next(alternatives(schema)[0]);
    case "object": {
      const needed = Object.entries(schema.properties).filter(([name]) => schema.required?.includes(name));
      return Object.fromEntries(needed.map(([name, each]) => [name, next(each)]));
    }
    case "array":
      return Array.from({ length: Math.min(schema.minItems ?? 0, 20) }, () => next(schema.items));
    case "string":
      return "";
    case "boolean":
      return false;
    case "number":
    case "integer":
      return schema.minimum ?? 0;
    default:
      return null;
  }
}

/** The first alternative that a value could be of, by type, constants and required members. */
export function matching(choices, value, resolve) {
  const fits = (schema, value) => {
    schema = resolve(schema);
    if (Object.hasOwn(schema, "const")) return schema.const === value;
    if (Array.isArray(schema.enum)) return schema.enum.includes(value);
    const type = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
    const types = [].concat(schema.type ?? (schema.properties ? "object" : type));
    if (!types.some((each) => each === type || (each === "integer" && Number.isInteger(value)))) return false;
    if (!isObject(value)) return true;
    const known = Object.entries(schema.properties ?? {}).filter(([name]) => Object.hasOwn(value, name));
    return (schema.required ?? []).every((name) => Object.hasOwn(value, name)) && known.every(([name, each]) => fits(each, value[name]));
  };
  return Math.max(0, choices.findIndex((each) => fits(each, value)));
}

/** A schema of the shape that a value has. */
export function inferred(value) {
  if (Array.isArray(value)) return value.length ? { type: "array", items: inferred(value[0]) } : {};
  if (isObject(value)) {
    const properties = Object.fromEntries(Object.entries(value).map(([name, each]) => [name, inferred(each)]));
    return { type: "object", properties, required: Object.keys(value) };
  }
  return value === null ? {} : { type: typeof value };
}
