"""The page in a real browser before the forwarder as deployed, with votes in the embedded DynamoDB."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.features.routing.forwarder.deployed import (
    ABOUT,
    FUNCTIONS,
    JSON,
    PATH,
    TOKEN,
    TOKEN_SHA256,
    Reply,
    Runtime,
    deployed,
    serving,
)
from tests.features.routing.forwarder.site import behind_http
from tests.features.routing.forwarder.test_asynchronous import FOLDERS, OUTPUT, Store, queued
from tests.features.routing.forwarder.test_page_in_browser import MILLISECONDS, WIDE, send
from tests.fixtures.platform import Aws

from ephemeral_endpoints.features.routing.forwarder.config import (
    AnswerPointers,
    Base,
    FeedbackConfig,
    ForwarderConfig,
    Playground,
    Sample,
    Variant,
)

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["text"],
    "properties": {
        "text": {"type": "string", "title": "Text"},
        "top": {"type": "integer", "title": "Top", "maximum": 10},
    },
}
CONFIG: Final = ForwarderConfig(
    (Variant("main", "pr-main", 3), Variant("candidate", "pr-candidate", 1)),
    TOKEN_SHA256,
    6_291_456,
    "us-east-1",
    replace(ABOUT, pull_request_url="https://github.com/acme/sentiment/pull/42"),
    PATH,
    samples=(Sample("praise", '{"text": "What a lovely day", "top": 3}', "application/json", "A sentence of praise"),),
    request_schema=json.dumps(SCHEMA),
    playground=Playground("Moods", AnswerPointers(label="/label", score="/score")),
    base=Base("sentiment-main", "eep-main", (Variant("main", "base-main", 1),)),
)
QUEUED: Final = ForwarderConfig(
    (Variant("main", "pr", 1),), TOKEN_SHA256, 1000, "us-east-1", ABOUT, PATH, FOLDERS, playground=Playground()
)


def reply(label: str, score: float) -> Reply:
    return Reply(body=json.dumps({"label": label, "score": score}).encode())


ANSWERS: Final = {
    "pr-main": reply("positive", 0.91),
    "pr-candidate": reply("neutral", 0.54),
    "base-main": reply("positive", 0.87),
    "eep-main": Reply(body=json.dumps({"headers": {"eep-revision": "ba5eba5eba5e"}}).encode()),
}


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=WIDE)
    context.set_default_timeout(MILLISECONDS)
    expect.set_options(timeout=MILLISECONDS)
    yield context
    context.close()


def visit(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(f"{url}#t={TOKEN}")
    expect(page.locator("#work")).to_be_visible()
    assert failures == []
    return page


def test_a_reviewer_judges_a_change(
    context: BrowserContext, aws: Aws, table: str, tmp_path: Path, screenshots: Path
) -> None:
    runtime = Runtime()
    runtime.answer_with(Reply(), replies_of=ANSWERS)
    config = replace(CONFIG, feedback=FeedbackConfig(table, "key", reasons=True))
    with (
        serving(runtime) as sagemaker,
        deployed(config, tmp_path, {"SAGEMAKER_RUNTIME": sagemaker, "DYNAMODB": aws.endpoint}) as forwarder,
        behind_http(forwarder) as url,
    ):
        page = visit(context, url)
        told_what_it_is(page)
        refused_beside_the_field(page, runtime)
        answered(page)
        compared_with_the_base(page, runtime)
        page.screenshot(path=screenshots / "forwarder.png", full_page=True)
        voted_blind(page)


def told_what_it_is(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Moods")
    link = page.get_by_role("link", name="acme/sentiment #42")
    expect(link).to_have_attribute("href", "https://github.com/acme/sentiment/pull/42")
    modes = page.locator("#mode option").all_inner_texts()
    assert ("Only main (75 %)" in modes, "Compare with the base" in modes) == (True, True)
    expect(page.get_by_label("Text")).to_have_value("What a lovely day")


def refused_beside_the_field(page: Page, runtime: Runtime) -> None:
    page.get_by_label("Top").fill("11")
    send(page)
    expect(page.get_by_label("Top")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Top")).to_be_focused()
    assert not runtime.requests
    page.get_by_label("Top").fill("2")


def answered(page: Page) -> None:
    send(page, "one:candidate")
    pane = page.locator(".pane")
    expect(pane.locator(".label")).to_have_text("neutral")
    expect(pane.locator(".figures")).to_contain_text("candidate")
    expect(pane.locator(".figures")).to_contain_text(ABOUT.revision[:12])
    pane.get_by_role("button", name="Good").click()
    expect(page.locator(".counts li")).to_have_text(["candidate: 1 good, 0 bad"])


def compared_with_the_base(page: Page, runtime: Runtime) -> None:
    runtime.answer_with(Reply(), replies_of={**ANSWERS, "pr-candidate": ANSWERS["pr-main"]})
    send(page, "base")
    expect(page.locator(".pane h3")).to_have_text(["Base", "This pull request"])
    expect(page.get_by_role("region", name="1 difference")).to_contain_text("/score0.870.91 +0.04")
    expect(page.locator(".pane").first.locator(".figures")).to_contain_text("ba5eba5eba5e")
    expect(page.locator(".pane").first.locator(".vote")).to_have_count(0)
    asked = [each for each in runtime.requests if not each.path.startswith(FUNCTIONS)]
    assert "/endpoints/base-main/invocations" in {each.path for each in asked}
    assert {each.body for each in asked} == {asked[0].body}


def voted_blind(page: Page) -> None:
    send(page, "blind")
    for pane in page.locator(".pane").all():
        pane.get_by_role("button", name="Bad").click()
        expect(pane).to_contain_text("Counted.")
    expect(page.locator(".counts li")).to_have_text(["candidate: 1 good, 1 bad", "main: 0 good, 1 bad"])


def test_a_queued_request_is_fetched_when_it_is_done(context: BrowserContext, tmp_path: Path) -> None:
    runtime, store = Runtime(), Store()
    runtime.answer_with(queued())
    with (
        serving(runtime) as sagemaker,
        serving(store) as s3,
        deployed(QUEUED, tmp_path, {"SAGEMAKER_RUNTIME": sagemaker, "S3": s3}) as forwarder,
        behind_http(forwarder) as url,
    ):
        page = visit(context, url)
        page.clock.install()
        tab = page.get_by_role("tab", name="Body")
        tab.click()
        page.fill("#body", '{"text": "later"}')
        page.click("#go")
        expect(page.get_by_role("status").first).to_contain_text("queued")
        store.objects[OUTPUT] = (b'{"label": "late"}', JSON["Content-Type"])
        page.clock.run_for(30_000)
        expect(page.locator(".pane .tree")).to_contain_text("late")
        assert any(path.startswith("/bucket/pr/in/") for _, path in store.requests)
