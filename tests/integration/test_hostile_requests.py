"""Hostile requests through the real URL: what a caller may send that is no caller of this endpoint."""

import random
import re
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import Final
from urllib.parse import urlsplit

from tests.abuse.test_requests import HEADERS, METHODS, SEED, TEXTS
from tests.fixtures.operator import Bench
from tests.fixtures.waiting import eventually

REQUESTS: Final = 300
CALLERS: Final = 8
OBJECTS: Final = ("one", "two")
MOST_ALIKE: Final = 5
PROBLEM: Final = re.compile(rb'"(type|message)": ?"')
"""In what the forwarder and API Gateway answer."""
SECONDS: Final = 60
ANSWERS: Final = frozenset({200, 204, 400, 401, 403, 404, 405, 406, 413, 414, 415, 429, 431, 501, 502, 503, 504})
"""Those that docs/troubleshoot.md has, and those of an HTTP server that refuses to parse."""
PATHS: Final = (
    *("",) * 12,
    "/",
    "//",
    "/..",
    "/../{other}",
    "/%2e%2e/{other}",
    "%2f..%2f{other}",
    ";/../{other}",
    "/..;/{other}",
    "?inference={other}",
    "?a=%00&b=%ff&c=" + "x" * 3000,
    "#/{other}",
    "/%00",
    "/\\..\\{other}",
    "/" + "a" * 3000,
    "%20",
    "é",
)
PRINTABLE_TEXTS: Final = tuple(text for text in TEXTS if text.isascii() and text.isprintable())
HARMLESS: Final = tuple(name for name in HEADERS if name != "transfer-encoding")
"""Headers that do not change what of the connection is the body."""

USUAL_METHODS: Final = ("GET", "POST", "POST", "PUT", "HEAD")
BODIES: Final = (b"", b"{}", b"{", b'{"a":' * 500, b"\x00\xff" * 100, b"x" * 20000, b"--b\r\n\r\n--b--")


@dataclass(frozen=True)
class Noise:
    """One request as it is on the wire, and whether it has the right token."""

    method: str
    content: bytes
    has_token: bool


def noise(pick: random.Random, *, host: str, path: str, other: str, token: str) -> Noise:
    """A request to ``path`` by somebody who would rather reach ``other``."""
    has_token, breaks_http = pick.random() < 0.5, pick.random() < 0.1
    method = pick.choice((*METHODS, "CONNECT", "PRI", "BREW") if breaks_http else USUAL_METHODS)
    target = path + pick.choice(PATHS).format(other=other)
    if breaks_http and pick.random() < 0.2:
        target = f"http://169.254.169.254{path}"
    body, texts = pick.choice(BODIES), TEXTS if breaks_http else PRINTABLE_TEXTS
    lines = [f"{method} {target} HTTP/1.{pick.choice('01')}", f"content-length: {len(body)}"]
    if pick.random() < 0.9:
        lines.append(f"host: {pick.choice((host, host, host, other, '169.254.169.254'))}")
    names = HEADERS if breaks_http else HARMLESS
    names = tuple(name for name in names if name not in {"authorization", "content-length", "host", "x-api-key"})
    lines += [f"{name}: {pick.choice(texts)}" for name in pick.sample(names, pick.randrange(5))]
    lines.append(f"authorization: {f'Bearer {token}' if has_token else f'Bearer {token[:-1]}'}")
    head = "\r\n".join(lines).encode("utf-8", "surrogatepass")
    return Noise(method, head + b"\r\nconnection: close\r\n\r\n" + body, has_token)


def answered(sent: Noise, address: tuple[str, int]) -> tuple[int, bytes, bytes]:
    """Status, headers and body of the answer; 400 for a connection that is closed without one."""
    with closing(socket.create_connection(address, timeout=SECONDS)) as connection:
        try:
            connection.sendall(sent.content)
            answer = HTTPResponse(connection, method=sent.method)
            answer.begin()
            return answer.status, str(answer.headers).encode(), answer.read()
        except (HTTPException, ConnectionError):
            return 400, b"", b""


def test_whatever_is_sent_to_a_url_is_answered_and_reaches_no_other_object(bench: Bench) -> None:
    serving = {"serverless": {"maxConcurrency": CALLERS}}
    for name in OBJECTS:
        bench.apply(name, bench.spec(model=bench.saying(f"said by {name}"), serving=serving))
    urls = {name: urlsplit(bench.wait_ready(name)["status"]["url"]) for name in OBJECTS}
    tokens = {name: bench.token(name) for name in OBJECTS}
    pick = random.Random(SEED)  # noqa: S311 - the same noise every time
    sent = []
    for _ in range(REQUESTS):
        name, other = pick.sample(OBJECTS, 2)
        url, elsewhere = urls[name], f"{bench.namespace}/{other}"
        sent.append((other, noise(pick, host=url.netloc, path=url.path, other=elsewhere, token=tokens[name])))
    address = (str(urls["one"].hostname), int(urls["one"].port or 80))
    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(callers.map(lambda each: answered(each[1], address), sent))

    statuses = Counter(status for status, *_ in answers)
    assert statuses.keys() <= ANSWERS, statuses
    assert len(statuses) >= MOST_ALIKE, f"the noise is not even: {statuses}"
    for (other, request), (status, headers, body) in zip(sent, answers, strict=True):
        assert f"said by {other}".encode() not in body, request
        assert request.has_token or b"said by" not in body, request
        assert not any(token.encode() in headers + body for token in tokens.values()), request
        is_told = PROBLEM.search(body) or b"Content-Type: text/plain" in headers
        assert status < HTTPStatus.BAD_REQUEST or not body or is_told, (request, headers, body)
    for name in OBJECTS:
        # Requests of callers who have closed their connection may still take the endpoint's room.
        serves = partial(says, bench, urls[name].geturl(), tokens[name], f"said by {name}")
        eventually(serves, f"{name}, which serves on")


def says(bench: Bench, url: str, token: str, text: str) -> bool:
    answer = bench.call(url, b"{}", token=token)
    return (answer.status_code, answer.text) == (HTTPStatus.OK, text)
