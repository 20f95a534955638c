// The request of the page as a program. $TOKEN stays a variable: a token in a snippet ends up in a chat.
import { isJson } from "./api.js";
import { parse } from "./json.js";

// A control character in pasted text can end the paste, and the rest is then typed: it is written as an escape.
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
const escaped = (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`;
const shell = (text) =>
  text.search(CONTROL) < 0
    ? `'${text.replaceAll("'", "'\\''")}'`
    : `$'${text.replace(/[\\']/g, "\\$&").replace(CONTROL, escaped)}'`;

const quoted = JSON.stringify;

/** Whether a program may hold the body as it is. */
function isLiteral(text, type) {
  try {
    return isJson(type) && !parse(text).lossy;
  } catch {
    return false;
  }
}

export const SNIPPETS = {
  curl: ({ url, headers, text }) => [
    `curl ${shell(url)} \\`,
    '  -H "Authorization: Bearer $TOKEN" \\',
    ...headers.map(([name, value]) => `  -H ${shell(`${name}: ${value}`)} \\`),
    text === null ? "  --data-binary @file" : `  --data-raw ${shell(text)}`,
  ],

  // Three quotes in a row stand in no JSON.
  Python: ({ url, headers, text, type }) => [
    "import os, requests",
    "",
    text === null ? 'body = open("file", "rb")' : isLiteral(text, type) ? `body = r"""\n${text}\n"""` : `body = ${quoted(text)}`,
    `answer = requests.post(${quoted(url)}, data=body${text === null ? "" : ".encode()"}, timeout=60, headers={`,
    '    "Authorization": "Bearer " + os.environ["TOKEN"],',
    ...headers.map(([name, value]) => `    ${quoted(name)}: ${quoted(value)},`),
    "})",
    "print(answer.status_code, answer.text)",
  ],

  JavaScript: ({ url, headers, text, type }) => [
    `const answer = await fetch(${quoted(url)}, {`,
    '  method: "POST",',
    "  headers: {",
    "    Authorization: `Bearer ${TOKEN}`,",
    ...headers.map(([name, value]) => `    ${quoted(name)}: ${quoted(value)},`),
    "  },",
    `  body: ${text === null ? "file" : isLiteral(text, type) ? `JSON.stringify(${text})` : quoted(text)},`,
    "});",
    "console.log(answer.status, await answer.text());",
  ],
};
