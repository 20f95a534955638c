// Calls of the endpoint: with the token, patient with a model that is being started, and with a queued request.
import { BASE, token } from "./session.js";
import * as TEXT from "./text.js";

const START_SECONDS = 120;
const RESULT_SECONDS = 900;

const call = (path, init = {}) => {
  const secret = token.get();
  const headers = { ...init.headers, ...(secret && { authorization: `Bearer ${secret}` }) };
  return fetch(`${BASE}/${path}`, { cache: "no-store", credentials: "omit", redirect: "error", ...init, headers });
};

/** The OpenAPI document; throws {status, detail}. */
export async function describe() {
  const response = await call("openapi.json").catch(() => null);
  if (!response?.ok) throw { status: response?.status, detail: response ? (await problemOf(response)).detail : "" };
  return response.json().catch(() => {
    throw { status: response.status, detail: "" };
  });
}

/** The answer to a request. `onwait` is told how often was asked, and why the model does not answer yet; nothing if it is queued. Throws AbortError or TypeError. */
export async function ask({ body, type, variant, target }, { signal, onwait }) {
  const headers = { "content-type": type, ...(variant && { "eep-variant": variant }), ...(target && { "eep-target": target }) };
  const started = performance.now();
  const since = () => (performance.now() - started) / 1000;
  for (let times = 1; ; times++) {
    const sent = performance.now();
    const response = await call("invocations", { method: "POST", body, headers, signal });
    if (response.status === 202) return result(response, { signal, onwait, started });
    if (response.status !== 503 || !response.headers.has("retry-after")) return outcome(response, sent);
    const pause = seconds(response);
    if (since() + pause > START_SECONDS) return { ...(await outcome(response, sent)), detail: TEXT.notStarted };
    onwait(times, (await problemOf(response)).detail);
    await sleep(pause, signal);
  }
}

async function result(first, { signal, onwait, started }) {
  // The answer says where its result will be. Only this endpoint's own results are fetched.
  const place = new URL(first.headers.get("location") ?? "", `${location.origin}${BASE}/invocations`);
  if (place.origin !== location.origin || !place.pathname.startsWith(`${BASE}/invocations/`)) {
    return { ...(await outcome(first, started)), status: 502, detail: TEXT.foreignResult };
  }
  let response = first;
  for (let times = 1; response.status === 202 && performance.now() - started < RESULT_SECONDS * 1000; times++) {
    onwait(times);
    await response.body?.cancel();
    await sleep(seconds(response), signal);
    response = await call(place.pathname.slice(BASE.length + 1) + place.search, { signal });
  }
  return outcome(response, started);
}

/** The counts by variant after a vote; throws an Error with what the endpoint says. */
export async function vote(id, verdict, reason) {
  const body = JSON.stringify({ id, vote: verdict, ...(reason && { reason }) });
  const response = await call("feedback", { method: "POST", body, headers: { "content-type": "application/json" } }).catch(() => null);
  if (!response?.ok) throw new Error(response ? (await problemOf(response)).detail : TEXT.failed);
  return (await response.json().catch(() => ({}))).counts ?? {};
}

async function outcome(response, started) {
  const head = (name) => response.headers.get(name);
  const blob = await response.blob();
  const type = (head("content-type") ?? "").toLowerCase();
  const text = isText(type) ? await blob.text() : null;
  return {
    status: response.status,
    type,
    text,
    blob,
    size: blob.size,
    milliseconds: performance.now() - started,
    timing: Object.fromEntries((head("server-timing") ?? "").split(",").map((part) => {
      const [name, ...members] = part.trim().split(";");
      return [name, Number(members.find((each) => each.trim().startsWith("dur="))?.trim().slice(4))];
    }).filter(([name, duration]) => name && duration >= 0)),
    variant: head("eep-variant"),
    revision: head("eep-revision"),
    attempts: Number(head("eep-attempts")) || 1,
    requestId: head("eep-request-id"),
    feedbackId: head("eep-feedback-id"),
    ...(response.ok ? {} : explain(response.status, text)),
  };
}

const problemOf = async (response) => explain(response.status, await response.text());

/** What an error says, whether it is a problem of ours (RFC 9457) or API Gateway's own message. */
function explain(status, text) {
  let document = null;
  try {
    document = JSON.parse(text);
  } catch {
    // An error of a model can be anything.
  }
  const word = (value) => (typeof value === "string" ? value : "");
  const errors = Array.isArray(document?.errors) ? document.errors : [];
  return {
    title: word(document?.title),
    detail: word(document?.detail) || word(document?.message),
    errors: errors.slice(0, 20).map((each) => ({ pointer: word(each?.pointer), detail: word(each?.detail) || word(each?.keyword) })),
  };
}

const seconds = (response) => Math.min(30, Math.max(1, Number(response.headers.get("retry-after")) || 2));

const sleep = (duration, signal) =>
  new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, duration * 1000);
    signal.addEventListener("abort", stop, { once: true });
  });

export const isJson = (type) => /^application\/([\w.-]+\+)?json\b/i.test(type);
export const isText = (type) => isJson(type) || /^text\//i.test(type);
