// The words that the script puts on the page; all others are in page.html. A function takes what is filled in.

const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;

export const themes = { system: "System theme", light: "Light", dark: "Dark" };
export const tokenRefused = "The endpoint refuses this token. It may have been renewed.";
export const loading = "Loading …";
export const brokenDetail = (status, detail) => `${status ? `It answered with ${status}` : "It did not answer"}${detail ? `: ${detail}` : "."}`;

export const pullRequest = (repository, number) => (number ? `${repository ?? ""} #${number}`.trim() : repository);
export const revision = (revision) => `revision ${revision}`;
export const expires = (when) => `ends ${when}`;
export const expired = (when) => `ended ${when}`;

export const request = "Request";
export const samples = "Samples";
export const tabs = { form: "Form", body: "Body", code: "Code" };
export const fileBody = (name, size) => `The body is the file ${name}, ${size}. `;
export const fileRemove = "Remove the file";
export const fileTooLarge = (size) => `The file has ${size}; an endpoint takes 6 MB at most.`;
export const invalidJson = (detail) => `This is not JSON: ${detail}`;
export const fromLink = "This request came with the link. Read it before you send it.";
export const inferred = "The endpoint has no request schema: the form follows the sample.";
export const noForm = {
  type: "Only JSON has a form. The request is in the tab Body.",
  invalid: "The body is not JSON yet. Mend it in the tab Body, and the form is back.",
  lossy: "The body has values that a form cannot hold. Edit it in the tab Body.",
  unknown: "There is no request schema and no sample to make a form from. Write the request in the tab Body.",
  file: "The body is a file.",
};
export const optional = "optional";
export const unset = "not set";
export const yes = "yes";
export const no = "no";
export const add = (label) => `Add ${label}`;
export const remove = (label) => `Remove ${label}`;
export const item = (label, number) => `${label} ${number}`;
export const alternative = (number) => `Alternative ${number}`;
export const kind = (label) => `Kind of ${label}`;
export const base64 = "Choose or drop a file, or paste base64";
export const limits = {
  between: (least, most) => `${least} to ${most}`,
  least: (least) => `at least ${least}`,
  most: (most) => `at most ${most}`,
  characters: (number) => `at most ${count(number, "character", "characters")}`,
};

export const modes = {
  split: "As callers get it",
  one: (name, share) => `Only ${name}${share}`,
  all: "All variants, side by side",
  blind: "All variants, blind",
  base: "Compare with the base",
};
export const share = (percent) => ` (${percent} %)`;
export const linkCopied = "The link to this request is copied. It has no token.";
export const linkTooLarge = "This request is too large for a link.";
export const linkFile = "A file does not fit into a link.";
export const copy = "Copy";
export const copied = "Copied";
export const copyFailed = "The browser does not let the page copy.";

export const answer = "Answer";
export const nothing = "Send a request, and the answer appears here.";
export const sending = "Sent. Waiting for the answer …";
export const starting = (detail, times, seconds) => `${detail} Asked ${count(times, "time", "times")} in ${seconds} s, and again by itself for up to 2 minutes.`;
export const notStarted = "The model did not answer within 2 minutes. Try again later.";
export const queued = "The request is queued. The page fetches the result by itself.";
export const seconds = (seconds) => `${seconds} s`;
export const cancelled = "Cancelled. The model may still be working on it.";
export const done = (number) => `${count(number, "answer", "answers")} received.`;
export const failed = "No answer: the network failed, or the browser did not let the request pass.";
export const foreignResult = "The endpoint names a result outside of its own path. It is not fetched.";
export const problemOf = (status, title) => `${status} ${title}`;
export const badFields = (number) => `The endpoint refuses ${count(number, "value", "values")} of the request.`;
export const at = (pointer, detail) => `${pointer || "The request"}: ${detail}`;
export const views = { read: "Readable", raw: "Raw" };
export const whole = "Whole answer";
export const cut = (size) => `Only the beginning is shown. The answer has ${size}.`;
export const save = (size) => `Save the answer (${size})`;
export const more = (number) => `… and ${number} more`;
export const image = "Image in the answer";
export const items = (number) => count(number, "item", "items");
export const members = (number) => count(number, "member", "members");
export const emptyList = "empty list";
export const emptyObject = "empty object";
export const changed = "changed";
export const head = "This pull request";
export const base = "Base";
export const letter = (number) => `Answer ${String.fromCharCode(65 + number)}`;
export const reveal = "Show the names";
export const hiddenUntil = "The names appear once each answer has a vote.";
export const changes = (number) => (number ? count(number, "difference", "differences") : "No difference");
export const changesMany = (number) => `More than ${number} differences`;
export const place = "Where";
export const wholePlace = "whole answer";
export const missing = "absent";
export const notComparable = "The answers cannot be compared: one is not JSON or text, or is an error.";

export const latency = (total) => `${total} ms`;
export const parts = { model: "model", post: "post-processing", forwarder: "endpoint", network: "network" };
export const figures = { variant: "Variant", revision: "Revision", attempts: "Attempts", requestId: "Request id" };
export const copyId = "Copy the request id";

export const vote = "Your verdict";
export const up = "Good";
export const down = "Bad";
export const reason = "Why? (optional, no personal data)";
export const sendReason = "Send reason";
export const voted = "Counted.";
export const reasonSent = "The reason is recorded.";
export const voteFailed = (detail) => `The vote was not counted: ${detail}`;
export const counts = "Votes so far";
export const countOf = (name, up, down) => `${name}: ${up} good, ${down} bad`;

export const noHistory = "The last 20 requests of this tab appear here.";
export const restored = "From the history; not sent again.";
export const tooLarge = "not kept: too large";

export const bytes = (number) => (number < 1000 ? `${number} B` : number < 1e6 ? `${(number / 1e3).toFixed(1)} KB` : `${(number / 1e6).toFixed(1)} MB`);
