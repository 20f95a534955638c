import base64
import gzip
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import pytest

from ephemeral_endpoints.features.routing.forwarder import packing, page
from ephemeral_endpoints.features.routing.forwarder.messages import Problem

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
HTML = packing.document()


def event(accept: str = BROWSER, *, method: str = "GET", path: str = "/nlp/pr-42", **headers: str) -> dict[str, Any]:
    return {
        "requestContext": {"http": {"method": method}, "domainName": "a1.execute-api.eu-west-1.amazonaws.com"},
        "headers": {"accept": accept, **{name.replace("_", "-"): value for name, value in headers.items()}},
        "rawPath": path,
    }


def policy(asked: Mapping[str, Any]) -> dict[str, str]:
    """The directives of the content security policy."""
    parts = page.render(asked, HTML)["headers"]["content-security-policy"].split("; ")
    return dict(part.split(" ", 1) for part in parts)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        pytest.param(event(), True, id="a browser navigates"),
        pytest.param(event("TEXT/HTML;q=0.1, application/json"), True, id="any weight counts"),
        pytest.param(event("*/*"), False, id="curl and other programs take everything"),
        pytest.param(event("application/json"), False, id="a program asks for the document"),
        pytest.param(event("text/htmlx"), False, id="another type that begins so"),
        pytest.param(event(method="POST"), False, id="a form of a browser is a request to the model"),
        pytest.param({**event(), "queryStringParameters": {"inference": "1"}}, False, id="a result"),
    ],
)
def test_the_page_is_for_browsers_only(asked: Mapping[str, Any], wanted: bool) -> None:  # noqa: FBT001 - a table
    assert page.is_asked_for(asked, enabled=True) is wanted


def test_without_a_page_only_those_who_take_nothing_else_are_refused() -> None:
    assert not page.is_asked_for(event(), enabled=False)
    assert not page.is_asked_for(event("application/json"), enabled=False)
    with pytest.raises(Problem) as refused:
        page.is_asked_for(event("text/html"), enabled=False)
    assert (refused.value.status, refused.value.kind) == (406, "not-acceptable")


def test_the_policy_lets_only_this_script_and_style_run() -> None:
    html = page.render(event(), HTML)["body"]
    directives = policy(event())
    for name, directive in (("script", "script-src"), ("style", "style-src")):
        [inner] = re.findall(rf"<{name}[^>]*>(.*?)</{name}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert directives[directive] == f"'sha256-{digest}'"
    assert directives["default-src"] == directives["frame-ancestors"] == directives["trusted-types"] == "'none'"
    assert directives["require-trusted-types-for"] == "'script'"
    assert not re.search(r"<[^>]+ (on\w+|style)=", html), "neither would be let"
    assert not re.search(r"(src|href)=\"(?!data:|#)", html), "the page fetches nothing else"


@pytest.mark.parametrize(
    ("host", "path", "source"),
    [
        ("a1.execute-api.eu-west-1.amazonaws.com", "/nlp/pr-42", "a1.execute-api.eu-west-1.amazonaws.com/nlp/pr-42/"),
        ("a1.execute-api.eu-west-1.amazonaws.com", "/nlp/pr-42/", "a1.execute-api.eu-west-1.amazonaws.com/nlp/pr-42/"),
        ("Models.Example.com", "/dev/nlp/pr-42", "models.example.com/dev/nlp/pr-42/"),
        ("a1.execute-api.localhost:4566", "/nlp/pr-42", "a1.execute-api.localhost:4566/nlp/pr-42/"),
        ("x.example; script-src *", "/nlp/pr-42", "'self'"),
        ("x.example\r\nx: y", "/nlp/pr-42", "'self'"),
        ("", "/nlp/pr-42", "'self'"),
        ("x.example", "/nlp/pr-42; script-src *", "'self'"),
        ("x.example", "/nlp/pr 42", "'self'"),
        ("x.example", "/", "'self'"),
    ],
)
def test_calls_go_below_the_own_path_and_nothing_of_the_request_gets_into_the_policy(
    host: str, path: str, source: str
) -> None:
    asked = event(path=path, host=host)
    assert policy(asked)["connect-src"] == source
    assert "\n" not in page.render(asked, HTML)["headers"]["content-security-policy"]


@pytest.mark.parametrize(
    ("host", "path", "source"),
    [
        pytest.param("Ml.acme.com", "/nlp/pr-42", "ml.acme.com/previews/nlp/pr-42/", id="the path is not passed on"),
        pytest.param("ml.acme.com", "/previews/nlp/pr-42", "ml.acme.com/previews/nlp/pr-42/", id="it is passed on"),
        pytest.param("a1.example", "/nlp/pr-42", "a1.example/nlp/pr-42/", id="the URL of API Gateway"),
    ],
)
def test_below_a_path_of_a_custom_domain_calls_stay_below_it(host: str, path: str, source: str) -> None:
    headers = page.render(event(path=path, host=host), HTML, "ml.acme.com/previews")["headers"]
    assert f"connect-src {source};" in headers["content-security-policy"]


def test_the_page_is_small_and_the_same_compressed() -> None:
    plain = page.render(event(), HTML)
    packed = page.render(event(accept_encoding="br, gzip"), HTML)
    assert packed["headers"]["content-encoding"] == "gzip"
    content = base64.b64decode(packed["body"])
    assert gzip.decompress(content).decode() == plain["body"]
    assert len(content) <= 20_000


def test_the_page_of_the_bundle_is_unpacked_as_it_was() -> None:
    assert page.unpacked(packing.packed()) == HTML


def test_no_text_of_others_becomes_markup() -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc"
    assert not re.search(forbidden, page.render(event(), HTML)["body"])
