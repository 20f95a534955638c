// JSON values: exact parsing, pointers (RFC 6901), and what differs between two of them.

/** The value of a text, and whether a form cannot hold it: a number beyond JavaScript's, or hundreds of levels. Throws SyntaxError. */
export function parse(text) {
  let lossy = false;
  const value = JSON.parse(text, (_, value, context) => {
    if (typeof value === "number" && context?.source !== undefined && !isExact(value, context.source)) lossy = true;
    return value;
  });
  return { value, lossy: lossy || isDeep(value) };
}

/** The value of a text for reading: a number that JavaScript cannot hold is the text that stands for it. Throws SyntaxError. */
export const legible = (text) =>
  JSON.parse(text, (_, value, context) => (typeof value === "number" && context?.source !== undefined && !isExact(value, context.source) ? context.source : value));

const isExact = (value, source) =>
  Number.isFinite(value) && (/[.eE]/.test(source) ? source.replace(/[^0-9]/g, "").length < 17 : String(value) === source);

export const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
export const isScalar = (value) => value === null || typeof value !== "object";

/** Whether a value has more levels than anybody reads, on which a recursion could fail. */
export const isDeep = (value, levels = 200) => !isScalar(value) && (levels === 0 || Object.values(value).some((each) => isDeep(each, levels - 1)));

export const below = (pointer, step) => `${pointer}/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`;

/** What a pointer leads to; undefined if it leads nowhere, or is absent. */
export function at(value, pointer) {
  if (typeof pointer !== "string") return undefined;
  for (const step of pointer.split("/").slice(1)) {
    const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
    if (isScalar(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

export const MOST_DIFFERENCES = 100;

/** The places where two values differ, in order, with what is there; `undefined` where there is nothing. */
export function differences(before, after, pointer = "", found = []) {
  if (found.length > MOST_DIFFERENCES || Object.is(before, after)) return found;
  const alike = (isObject(before) && isObject(after)) || (Array.isArray(before) && Array.isArray(after));
  if (!alike) return found.concat({ pointer, before, after });
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [left, right] = [before, after].map((value) => (Object.hasOwn(value, key) ? value[key] : undefined));
    found = differences(left, right, below(pointer, key), found);
  }
  return found;
}

const MOST_WORDS = 600;

/** Two texts as one list of [kind, text], kind "same", "before" or "after", by the longest common words. */
export function words(before, after) {
  const [left, right] = [before, after].map((text) => text.match(/\s+|[\p{L}\p{N}]+|./gsu) ?? []);
  if (left.length > MOST_WORDS || right.length > MOST_WORDS) return [["before", before], ["after", after]];
  const length = Array.from({ length: left.length + 1 }, () => new Uint16Array(right.length + 1));
  for (let i = left.length - 1; i >= 0; i--)
    for (let j = right.length - 1; j >= 0; j--)
      length[i][j] = left[i] === right[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
  const runs = [];
  const take = (kind, text) => {
    if (runs.at(-1)?.[0] === kind) runs.at(-1)[1] += text;
    else runs.push([kind, text]);
  };
  let [i, j] = [0, 0];
  while (i < left.length || j < right.length) {
    if (i < left.length && j < right.length && left[i] === right[j]) take("same", left[i++]), j++;
    else if (j >= right.length || (i < left.length && length[i + 1][j] >= length[i][j + 1])) take("before", left[i++]);
    else take("after", right[j++]);
  }
  return runs;
}
