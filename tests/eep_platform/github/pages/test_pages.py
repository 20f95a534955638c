from html.parser import HTMLParser

import pytest
import requests
from tests.eep_platform.github.conftest import HEAD, Caller
from tests.fixtures.github import REPOSITORY
from typing_extensions import override

from eep_platform.github.client import GitHubClient, sha_of

EVIL = '<script>alert("x")</script>'
VOID = {"meta", "link", "br", "hr", "img"}


class Outline(HTMLParser):
    """What a person perceives of a page, and whether its elements are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: dict[str, str] = {}
        self.text = ""
        self._href = ""
        self.feed(html)
        assert self.open == []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "a":
            self._href = dict(attrs).get("href") or ""

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "a":
            self._href = ""

    @override
    def handle_data(self, data: str) -> None:
        self.text += f"{data} "
        if self._href:
            self.links[data] = self._href


def page(github: GitHubClient, path: str, status: int = 200) -> Outline:
    answer = requests.get(f"{github.url}{path}", timeout=60)
    assert answer.status_code == status
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    outline = Outline(answer.text)
    assert answer.text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert outline.tags.count("h1") == outline.tags.count("main") == outline.tags.count("title") == 1
    return outline


def test_a_person_finds_the_way_to_a_pull_request(github: GitHubClient) -> None:
    github.open(REPOSITORY, HEAD, number=42, title="Regularize less")
    home = page(github, "/")
    listed = page(github, home.links[REPOSITORY])
    shown = page(github, listed.links["#42 Regularize less"])
    assert "Regularize less #42" in shown.text
    assert shown.links["Repositories"] == "/"
    assert page(github, f"/{REPOSITORY}/pulls").links == listed.links


def test_the_page_shows_what_is_published(github: GitHubClient, ada: Caller, installation: Caller) -> None:
    github.open(REPOSITORY, HEAD, number=42)
    for state, url in (("inactive", "https://old.example"), ("success", "https://pr-42.example")):
        made = ada.post(
            "deployments",
            ref=HEAD,
            auto_merge=False,
            required_contexts=[],
            environment="preview",
            transient_environment=True,
        )
        ada.post(made["statuses_url"], state=state, environment_url=url, description=f"It is {state}")
    ada.post(f"statuses/{HEAD}", state="pending", context="eep")
    ada.post(f"statuses/{HEAD}", state="failure", context="eep", target_url="https://checks.example")
    comment = installation.post("issues/42/comments", body="| p99 |\n|---|\n| 12 ms |\n")
    ada.post(f"{comment['url']}/reactions", content="hooray")
    shown = page(github, f"/{REPOSITORY}/pull/42")
    for part in ("It is success", "destroyed", "failure", "previews bot", "12 ms", "🎉 hooray (1)"):
        assert part in shown.text
    assert "pending" not in shown.text, "an older status of the context"
    assert {"https://pr-42.example", "https://checks.example"} <= set(shown.links)
    assert "https://old.example" not in shown.links, "what is destroyed is not linked"


@pytest.mark.parametrize(("act", "word"), [("close", "Closed"), ("merge", "Merged")])
def test_the_page_tells_the_state(github: GitHubClient, act: str, word: str) -> None:
    github.open(REPOSITORY, HEAD, number=42)
    assert "Open" in page(github, f"/{REPOSITORY}/pull/42").text
    getattr(github, act)(REPOSITORY, 42)
    assert word in page(github, f"/{REPOSITORY}/pull/42").text


def test_what_others_wrote_is_text(github: GitHubClient, ada: Caller) -> None:
    github.open(REPOSITORY, HEAD, number=42, title=EVIL, branch=EVIL, fork="mallory/wine")
    github.push(REPOSITORY, 42, sha_of("second"), message=EVIL)
    github.comment(REPOSITORY, 42, "mallory", EVIL)
    ada.post(f"statuses/{sha_of('second')}", state="error", context=EVIL, description=EVIL)
    shown = page(github, f"/{REPOSITORY}/pull/42")
    assert "script" not in shown.tags
    assert shown.text.count(EVIL) == 7
    assert "script" not in page(github, f"/{REPOSITORY}").tags


@pytest.mark.parametrize("path", ["/acme/none", "/acme/none/pull/1", f"/{REPOSITORY}/pull/9"])
def test_what_does_not_exist_is_said(github: GitHubClient, path: str) -> None:
    assert "There is no such page" in page(github, path, 404).text


def test_the_style_is_a_file(github: GitHubClient) -> None:
    answer = requests.get(f"{github.url}/_github/style.css", timeout=60)
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, "text/css")
