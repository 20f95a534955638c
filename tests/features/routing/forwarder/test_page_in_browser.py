"""The page in a real browser, before a server whose answers each test decides."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FilePayload, Page, ViewportSize, expect
from tests.features.routing.forwarder.deployed import TOKEN, Asked, Reply, serving
from tests.features.routing.forwarder.site import BASE, NEIGHBOUR, Site, answer, document, problem

MILLISECONDS: Final = 60_000
"""Far more than anything takes on a busy machine."""

WIDE: Final[ViewportSize] = {"width": 1280, "height": 860}
NARROW: Final[ViewportSize] = {"width": 375, "height": 812}
SCHEMA: Final = {
    "type": "object",
    "required": ["text", "options"],
    "properties": {
        "text": {"type": "string", "title": "Text", "description": "What a customer wrote."},
        "language": {"enum": ["en", "de"]},
        "photo": {"type": "string", "contentEncoding": "base64"},
        "options": {
            "$ref": "#/$defs/options",
        },
        "context": {
            "oneOf": [
                {
                    "title": "Product",
                    "type": "object",
                    "required": ["sku"],
                    "properties": {"sku": {"type": "string", "maxLength": 9}},
                },
                {"title": "Season", "type": "string", "maxLength": 9},
            ]
        },
        "anything": {},
    },
    "$defs": {
        "options": {
            "type": "object",
            "title": "Options",
            "required": ["top", "explain"],
            "properties": {
                "top": {"type": "integer", "minimum": 1, "maximum": 10},
                "explain": {"type": "boolean"},
                "tags": {"type": "array", "title": "Tags", "items": {"type": "string", "maxLength": 20}},
            },
        }
    },
}
PRAISE: Final[dict[str, Any]] = {
    "text": "What a lovely day",
    "options": {"top": 3, "explain": True, "tags": ["weather", "mood"]},
}
IRONY: Final[dict[str, Any]] = {"text": "Oh great, another meeting", "options": {"top": 1, "explain": False}}
MEDIA: Final = {
    "application/json": {
        "schema": SCHEMA,
        "examples": {
            "praise": {"summary": "A sentence that both variants call positive", "value": PRAISE},
            "irony": {"value": IRONY},
        },
    }
}
ANSWERS: Final = {
    "main": {
        "label": "positive",
        "score": 0.91,
        "why": "The sentence praises the weather.",
        "tokens": [{"token": "lovely", "weight": 0.8}],
    },
    "candidate": {
        "label": "neutral",
        "score": 0.54,
        "why": "The sentence mentions the weather.",
        "tokens": [{"token": "lovely", "weight": 0.3}],
    },
    "base": {
        "label": "positive",
        "score": 0.87,
        "why": "The sentence praises the weather.",
        "tokens": [{"token": "lovely", "weight": 0.7}],
    },
}
COUNTS: Final = Reply(body=b'{"counts": {"main": {"up": 3, "down": 1}, "candidate": {"up": 1, "down": 2}}}')

Open = Callable[..., Page]
Scheme = Literal["light", "dark"]


def sentiment(asked: Asked) -> Reply:
    """A model with two variants and a base."""
    name = "base" if asked.headers.get("eep-target") == "base" else asked.headers.get("eep-variant", "main")
    return answer(ANSWERS[name], variant=name, revision="4f1c2d3e5a6b", feedback_id=f"id.{name}")


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    site = Site()
    with serving(site):
        yield site


@pytest.fixture
def site(server: Site) -> Site:
    server.reset(document(MEDIA), sentiment, lambda _: COUNTS)
    return server


@pytest.fixture
def visit(site: Site, browser: Browser) -> Iterator[Open]:
    """Opens the page, by default with the token; fails for what the page does not expect, or asks elsewhere."""
    context = browser.new_context(viewport=WIDE)
    context.set_default_timeout(MILLISECONDS)
    expect.set_options(timeout=MILLISECONDS)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    failures: list[str] = []

    def opened(fragment: str = f"t={TOKEN}", scheme: Scheme = "light", size: ViewportSize | None = None) -> Page:
        page = context.new_page()
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size or WIDE)
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on(
            "request",
            lambda asked: None if asked.url.startswith((site.url, "data:", "blob:")) else failures.append(asked.url),
        )
        page.goto(f"{site.url}#{fragment}" if fragment else site.url)
        if TOKEN in fragment:
            expect(page.locator("#work")).to_be_visible()
        return page

    yield opened
    context.close()
    assert failures == []


def sent(site: Site, name: str = "invocations") -> list[Any]:
    """The JSON that was sent to a child of the endpoint."""
    return [json.loads(each.body) for each in site.asked if each.path == f"{BASE}/{name}"]


def send(page: Page, mode: str = "split") -> None:
    """Send, and wait for all answers."""
    page.select_option("#mode", mode)
    page.click("#go")
    expect(page.locator("#cancel")).to_be_hidden()


def paused(page: Page) -> Page:
    """The page, on whose clock only a test lets time pass."""
    page.clock.install(time="2026-01-01T00:00:00")
    page.clock.pause_at("2026-01-01T01:00:00")
    return page


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def body(page: Page) -> dict[str, Any]:
    """What the tab Body holds."""
    written: dict[str, Any] = json.loads(page.input_value("#body"))
    return written


def test_the_token_is_asked_for_and_kept_in_this_tab_only(site: Site, visit: Open, screenshots: Path) -> None:
    page = visit("")
    expect(page.get_by_role("heading", level=1)).to_have_text("pr-42")
    page.screenshot(path=screenshots / "token.png")
    assert Axe().run(page).violations_count == 0
    page.get_by_label("Token", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("refuses this token")
    page.get_by_label("Token", exact=True).fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("sentiment-pr-42")
    page.reload()
    expect(page.locator("#work")).to_be_visible()
    assert page.evaluate("[localStorage.length, Object.keys(sessionStorage)]") == [0, [f"eep:{BASE}:token"]]
    page.get_by_label("Text").fill("kept")
    page.get_by_role("button", name="Forget the token").click()
    page.get_by_label("Token", exact=True).fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Text")).to_have_value("kept")
    page.get_by_role("button", name="Forget the token").click()
    page.reload()
    expect(page.locator("#gate")).to_be_visible()
    assert site.strayed == []


def test_the_token_of_the_address_is_gone_from_it_at_once(visit: Open) -> None:
    page = visit()
    assert TOKEN not in page.url
    page.go_back()
    assert TOKEN not in page.url


def test_the_page_tells_pull_request_revision_and_end(site: Site, visit: Open) -> None:
    site.document = document(
        MEDIA, pullRequestUrl="https://github.com/acme/sentiment/pull/42", playground={"title": "Sentiment of reviews"}
    )
    page = visit()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sentiment of reviews")
    expect(page.locator("#facts")).to_contain_text("revision 4f1c2d3e5a6b")
    expect(page.locator("#facts time")).to_have_text(re.compile(r"ends in [\d,]+ days"))
    expect(page.get_by_role("link", name="acme/sentiment #42")).to_have_attribute(
        "href", "https://github.com/acme/sentiment/pull/42"
    )


def test_the_form_and_the_body_keep_in_step(site: Site, visit: Open) -> None:
    page = visit()
    assert body(page) == PRAISE
    page.get_by_label("Text").fill("Grüße")
    page.get_by_label("top").fill("7")
    page.get_by_label("explain").uncheck()
    page.get_by_label("language").select_option("de")
    page.get_by_role("button", name="Remove Tags 1").click()
    page.get_by_role("button", name="Add Tags").click()
    page.get_by_label("Tags 2", exact=True).fill("new")
    page.get_by_role("button", name="Add context").click()
    page.get_by_label("sku").fill("A-1")
    page.get_by_label("anything").fill('[1, {"a": null}]')
    written = {
        "text": "Grüße",
        "options": {"top": 7, "explain": False, "tags": ["mood", "new"]},
        "language": "de",
        "context": {"sku": "A-1"},
        "anything": [1, {"a": None}],
    }
    assert body(page) == written
    page.get_by_label("Kind of context").select_option("Season")
    page.get_by_label("Season", exact=True).fill("winter")
    page.get_by_label("language").select_option("not set")
    page.get_by_label("anything").fill("")
    assert body(page) == {"text": "Grüße", "options": written["options"], "context": "winter"}
    tab(page, "Body")
    page.fill("#body", json.dumps({**PRAISE, "text": "from the body"}))
    tab(page, "Form")
    expect(page.get_by_label("Text")).to_have_value("from the body")
    expect(page.get_by_label("Kind of context")).to_have_count(0)
    page.get_by_label("Text").press("Control+Enter")
    expect(page.locator(".pane")).to_be_visible()
    assert sent(site) == [{**PRAISE, "text": "from the body"}]


def test_what_a_form_cannot_hold_stays_in_the_body(site: Site, visit: Open) -> None:
    page = visit()
    tab(page, "Body")
    page.fill("#body", '{"id": 12345678901234567890}')
    tab(page, "Form")
    expect(page.locator("#panel-form")).to_contain_text("values that a form cannot hold")
    send(page)
    assert site.asked[-1].body == b'{"id": 12345678901234567890}'
    tab(page, "Body")
    page.fill("#body", '{"text": ')
    expect(page.locator("#body-error")).to_contain_text("This is not JSON")
    tab(page, "Form")
    expect(page.locator("#panel-form")).to_contain_text("not JSON yet")


def test_a_sample_gives_a_form_where_there_is_no_schema(site: Site, visit: Open) -> None:
    site.document = document(
        {"application/json": {"schema": {}, "examples": {"one": {"value": {"text": "a", "n": 1}}}}}
    )
    page = visit()
    page.get_by_label("n", exact=True).fill("2")
    assert body(page) == {"text": "a", "n": 2}


def test_samples_fill_the_request(site: Site, visit: Open) -> None:
    page = visit()
    page.get_by_role("button", name="irony").click()
    expect(page.get_by_label("Text")).to_have_value(IRONY["text"])
    send(page)
    assert sent(site) == [IRONY]


def test_an_answer_is_readable_with_who_gave_it_and_where_the_time_went(visit: Open) -> None:
    page = visit()
    send(page)
    pane = page.locator(".pane")
    expect(pane.locator(".label")).to_have_text("positive")
    expect(pane.get_by_role("meter")).to_have_attribute("aria-valuenow", "0.91")
    expect(pane).to_contain_text(re.compile(r"ms.*model 8"))
    for text in ("main", "4f1c2d3e5a6b", "JKJaXmPLvHcESHA="):
        expect(pane.locator(".figures")).to_contain_text(text)
    pane.get_by_role("button", name="Copy the request id").click()
    assert page.evaluate("navigator.clipboard.readText()") == "JKJaXmPLvHcESHA="
    pane.get_by_text("Whole answer").click()
    expect(pane.get_by_role("row").nth(1)).to_contain_text("lovely")
    tab(page, "Raw")
    expect(pane.locator("pre").last).to_have_text(json.dumps(ANSWERS["main"]))


PNG: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def test_texts_images_scores_of_all_labels_and_bytes_have_their_own_form(site: Site, visit: Open) -> None:
    pointers = {"text": "/0/text", "label": None, "score": "/0/all", "image": "/0/png"}
    site.document = document(MEDIA, playground={"title": None, "answer": pointers})
    replies = iter(
        [
            answer([{"text": "Once\nupon", "all": {"cat": 0.2, "dog": 0.7}, "png": PNG}]),
            Reply(headers={"content-type": "image/png"}, body=base64.b64decode(PNG)),
            Reply(headers={"content-type": "text/html"}, body=b"<h1>Hi</h1><script>document.title = 'x'</script>"),
            Reply(headers={"content-type": "application/x-npy"}, body=b"\x93NUMPY"),
        ]
    )
    site.answer = lambda _: next(replies)
    page = visit()
    send(page)
    expect(page.locator(".prose")).to_have_text("Once\nupon")
    expect(page.locator(".bar > span")).to_have_text(["dog", "cat"])
    expect(page.locator(".pane img").first).to_have_js_property("naturalWidth", 1)
    send(page)
    expect(page.locator(".pane img").first).to_have_js_property("naturalWidth", 1)
    send(page)
    expect(page.locator(".prose")).to_contain_text("<h1>Hi</h1>")
    send(page)
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save the answer").first.click()
    assert saved.value.path().read_bytes() == b"\x93NUMPY"


def test_an_error_of_a_field_stands_beside_it(site: Site, visit: Open, screenshots: Path) -> None:
    errors = [
        {"pointer": "/options/top", "keyword": "maximum", "detail": "must be at most 10"},
        {"pointer": "", "keyword": "required", "detail": "must have mood"},
    ]
    site.answer = lambda _: problem(400, "request-invalid", "The request does not match.", errors=errors)
    page = visit()
    send(page)
    top = page.get_by_label("top")
    expect(top).to_be_focused()
    expect(top).to_have_attribute("aria-invalid", "true")
    expect(top).to_have_accessible_description("1 to 10 must be at most 10")
    expect(page.locator("#errors")).to_have_text("The request: must have mood")
    page.screenshot(path=screenshots / "errors.png", full_page=True)
    assert Axe().run(page).violations_count == 0
    site.answer = sentiment
    send(page)
    expect(top).not_to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (problem(502, "response-invalid", "The answer breaks its promise."), "502 response-invalid The answer breaks"),
        (Reply(429, body=b'{"message": "Too Many Requests"}'), "429 Too Many Requests"),
        (Reply(504, {"content-type": "text/html"}, b"<b>no</b>"), "504"),
        (Reply(hang_up=True), ""),
    ],
    ids=["a problem", "the gateway's own words", "no JSON", "nothing"],
)
def test_every_error_is_said(site: Site, visit: Open, reply: Reply, words: str) -> None:
    site.answer = lambda _: reply
    page = visit()
    send(page)
    expect(page.locator("#status") if reply.hang_up else page.locator(".problem")).to_contain_text(words or "No answer")


def test_a_model_that_starts_is_waited_for_and_told(site: Site, visit: Open) -> None:
    waiting = problem(503, "model-not-ready", "The model is starting.", {"retry-after": "1"})
    page = paused(visit())
    replies = iter([waiting, waiting, sentiment(Asked("", {}, b""))])
    site.answer = lambda _: next(replies)
    page.click("#go")
    expect(page.get_by_role("status").first).to_contain_text("The model is starting. Asked 1 time in")
    page.clock.run_for(1000)
    expect(page.get_by_role("status").first).to_contain_text("Asked 2 times")
    page.clock.run_for(1000)
    expect(page.locator(".pane .label")).to_have_text("positive")
    assert len(sent(site)) == 3
    site.answer = lambda _: waiting
    page.click("#go")
    expect(page.get_by_role("status").first).to_contain_text("is starting")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status").first).to_contain_text("Cancelled")
    expect(page.get_by_label("Text")).to_have_value(PRAISE["text"])


def test_a_model_that_does_not_start_is_given_up(site: Site, visit: Open) -> None:
    site.answer = lambda _: problem(503, "model-not-ready", "The model is starting.", {"retry-after": "200"})
    page = paused(visit())
    page.click("#go")
    for times in ("1 time", "2 times", "3 times", "4 times"):
        expect(page.get_by_role("status").first).to_contain_text(f"Asked {times}")
        page.clock.run_for(30_000)
    expect(page.locator(".problem")).to_contain_text("did not answer within 2 minutes")


def test_a_queued_request_is_fetched_and_no_result_of_others(site: Site, visit: Open) -> None:
    results = iter([Reply(202, {"retry-after": "1"}, b"{}"), answer({"label": "late", "score": 1})])
    place = f"{BASE}/invocations/7~a"

    def queued(asked: Asked) -> Reply:
        return Reply(202, {"location": place}, b"{}") if asked.path == f"{BASE}/invocations" else next(results)

    site.answer = queued
    page = visit()
    page.clock.install()
    page.click("#go")
    expect(page.get_by_role("status").first).to_contain_text("queued")
    page.clock.run_for(2000)
    expect(page.locator(".pane .label")).to_have_text("late")
    place = f"{NEIGHBOUR}/invocations/7"
    send(page)
    expect(page.locator(".problem")).to_contain_text("outside of its own path")
    assert site.strayed == []


def test_a_variant_can_be_forced(site: Site, visit: Open) -> None:
    page = visit()
    send(page, "one:candidate")
    expect(page.locator(".pane .label")).to_have_text(
        "neutral (changed)" if page.locator("mark").count() else "neutral"
    )
    assert [each.headers.get("eep-variant") for each in site.asked] == ["candidate"]


def test_variants_stand_side_by_side_with_what_differs(visit: Open) -> None:
    page = visit()
    send(page, "all")
    expect(page.locator(".pane h3")).to_have_text(["main", "candidate"])
    rows = page.get_by_role("region", name="4 differences").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("/labelpositiveneutral")
    expect(rows.nth(2)).to_contain_text("0.91")
    expect(rows.nth(2)).to_contain_text("0.54 \N{MINUS SIGN}0.37")
    expect(page.locator(".changes ins")).to_have_text(["neutral", "mentions"])
    expect(page.locator(".pane").nth(1).locator("mark").first).to_have_text("neutral (changed)")


def test_the_base_answers_beside_the_pull_request(site: Site, visit: Open) -> None:
    page = visit()
    send(page, "base")
    expect(page.locator(".pane h3")).to_have_text(["Base", "This pull request"])
    expect(page.get_by_role("region", name="2 differences")).to_contain_text("/score0.870.91 +0.04")
    assert sorted(each.headers.get("eep-target", "") for each in site.asked) == ["", "base"]
    site.document = document(MEDIA, compare=False)
    other = visit()
    assert "base" not in other.locator("#mode option").evaluate_all("all => all.map(each => each.value)")


def test_blind_names_appear_only_after_the_votes(site: Site, visit: Open) -> None:
    page = visit()
    send(page, "blind")
    panes = page.locator(".pane")
    expect(panes.locator("h3")).to_have_text(["Answer A", "Answer B"])
    shown = page.locator("#answer").inner_text()
    assert not re.search("main|candidate|4f1c2d3e5a6b|ms", shown), "nothing tells who it was"
    panes.nth(0).get_by_role("button", name="Good").click()
    expect(panes.nth(0)).to_contain_text("Counted.")
    expect(panes.locator("h3")).to_have_text(["Answer A", "Answer B"])
    panes.nth(1).get_by_role("button", name="Bad").click()
    expect(page.locator(".counts li")).to_have_text(["main: 3 good, 1 bad", "candidate: 1 good, 2 bad"])
    names = panes.locator("h3").all_inner_texts()
    assert sorted(names) == ["candidate", "main"]
    assert sent(site, "feedback") == [{"id": f"id.{names[0]}", "vote": "up"}, {"id": f"id.{names[1]}", "vote": "down"}]


def test_a_vote_has_a_reason_and_can_change(site: Site, visit: Open) -> None:
    page = visit()
    send(page)
    page.get_by_role("button", name="Bad").click()
    page.get_by_label("Why?").fill("It is ironic")
    page.keyboard.press("Enter")
    expect(page.locator(".vote")).to_contain_text("The reason is recorded.")
    page.get_by_role("button", name="Good").click()
    expect(page.get_by_role("button", name="Good")).to_have_attribute("aria-pressed", "true")
    assert sent(site, "feedback") == [
        {"id": "id.main", "vote": "down"},
        {"id": "id.main", "vote": "down", "reason": "It is ironic"},
        {"id": "id.main", "vote": "up"},
    ]
    site.vote = lambda _: problem(404, "unknown-answer", "This answer is not known.")
    page.get_by_role("button", name="Bad").click()
    expect(page.locator(".vote")).to_contain_text("not counted: This answer is not known.")


def test_the_history_brings_requests_and_answers_back(site: Site, visit: Open) -> None:
    page = visit()
    send(page)
    page.get_by_role("button", name="irony").click()
    send(page, "all")
    page.reload()
    expect(page.locator("#history li")).to_have_count(2)
    page.locator("#history button").last.click()
    assert body(page) == PRAISE
    expect(page.locator(".pane .label")).to_have_text("positive")
    expect(page.get_by_role("status").first).to_contain_text("not sent again")
    site.answer = lambda _: answer("x" * 30_000)
    send(page)
    expect(page.locator("#history button").first).to_have_text("not kept: too large")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#history button")).to_have_count(0)


def test_a_link_carries_the_request_and_never_the_token(site: Site, visit: Open) -> None:
    page = visit()
    page.get_by_label("Text").fill("Grüße 👋")
    page.select_option("#mode", "blind")
    page.get_by_role("button", name="Copy link").click()
    link = page.evaluate("navigator.clipboard.readText()")
    assert TOKEN not in link
    other = visit(f"t={TOKEN}&{link.split('#')[1]}")
    expect(other.get_by_label("Text")).to_have_value("Grüße 👋")
    expect(other.locator("#mode")).to_have_value("blind")
    expect(other.locator("#origin")).to_contain_text("came with the link")
    assert site.asked == [], "nothing is sent by itself"
    page.get_by_label("Text").fill("x" * 9000)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("status").first).to_contain_text("too large for a link")


def test_snippets_say_this_request_with_the_token_as_a_variable(visit: Open) -> None:
    page = visit()
    page.get_by_label("Text").fill("It's $HOME")
    page.select_option("#mode", "one:candidate")
    tab(page, "Code")
    for language, words in (
        ("curl", ["It'\\''s $HOME", "Bearer $TOKEN", "eep-variant: candidate", "/invocations'"]),
        ("Python", ['os.environ["TOKEN"]', "It's $HOME"]),
        ("JavaScript", ["`Bearer ${TOKEN}`", "It's $HOME"]),
    ):
        tab(page, language)
        code = page.locator(".snippet:visible pre").inner_text()
        assert all(word in code for word in words), code
        assert TOKEN not in code


def test_files_are_bodies_or_base64_fields(site: Site, visit: Open) -> None:
    page = visit()
    files: FilePayload = {"name": "cat.png", "mimeType": "image/png", "buffer": base64.b64decode(PNG)}
    page.set_input_files("#panel-form input[type=file]", files)
    expect(page.get_by_role("textbox", name="photo optional")).to_have_value(PNG)
    assert body(page)["photo"] == PNG
    tab(page, "Body")
    drop = """([data, type]) => { const all = new DataTransfer();
        all.items.add(new File([Uint8Array.from(atob(data), c => c.charCodeAt(0))], "cat", {type}));
        const drop = new DragEvent("drop", {dataTransfer: all, bubbles: true, cancelable: true});
        document.querySelector("#body").dispatchEvent(drop); }"""
    page.evaluate(drop, [PNG, "image/png"])
    expect(page.locator("#file")).to_contain_text("the file cat, 70 B")
    send(page)
    assert (site.asked[-1].headers["content-type"], site.asked[-1].body) == ("image/png", base64.b64decode(PNG))
    page.get_by_role("button", name="Remove the file").click()
    page.evaluate(drop, [base64.b64encode(b"a,b\n1,2").decode(), "text/csv"])
    expect(page.locator("#body")).to_have_value("a,b\n1,2")
    send(page)
    assert (site.asked[-1].headers["content-type"], site.asked[-1].body) == ("text/csv", b"a,b\n1,2")


HOSTILE: Final = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'


def test_nothing_that_others_write_runs_or_is_followed(site: Site, visit: Open) -> None:
    names = {HOSTILE: {"type": "string", "title": HOSTILE, "description": HOSTILE}, "__proto__": {"type": "number"}}
    examples = {HOSTILE: {"summary": HOSTILE, "value": {HOSTILE: HOSTILE}}}
    media = {"application/json": {"schema": {"type": "object", "properties": names}, "examples": examples}}
    about = {"name": HOSTILE, "repository": HOSTILE, "revision": HOSTILE, "expiresAt": HOSTILE, "pullRequest": HOSTILE}
    variants = [HOSTILE, {"name": HOSTILE}, 7, None]
    site.document = document(
        media,
        **about,
        pullRequestUrl="javascript:window.hit=1",
        variants=variants,
        playground={"title": HOSTILE, "answer": {"label": "/__proto__/x", "text": "/t", "image": "/i"}},
    )
    hostile = {
        "t": HOSTILE,
        "i": "data:image/svg+xml;base64,PHN2Zz4=",
        HOSTILE: [{HOSTILE: HOSTILE}],
        "__proto__": {"x": 1},
    }
    site.answer = lambda _: answer(hostile, variant="x", feedback_id="id")
    site.vote = lambda _: Reply(body=json.dumps({"counts": {HOSTILE: {"up": HOSTILE}, "x": None}}).encode())
    page = visit()
    send(page)
    page.get_by_role("button", name="Good").click()
    expect(page.locator(".counts li")).to_have_count(2)
    page.get_by_text("Whole answer").click()
    expect(page.locator(".prose")).to_have_text(HOSTILE)
    assert page.locator("#facts a, .pane img, main script").count() == 0
    assert page.evaluate("[window.hit, {}.x]") == [None, None]


DEEP: Final[object] = json.loads("[" * 500 + "]" * 500)
SHAPES: Final[tuple[object, ...]] = (
    [],
    7,
    {"info": None, "paths": []},
    document({"application/json": None}),
    document({"application/json": {"schema": {"$ref": "#"}}}),
    document({"application/json": {"examples": {"deep": {"value": {"a": DEEP}}}}}),
)


def test_a_document_of_any_shape_is_survived(site: Site, visit: Open) -> None:
    page = visit()
    for shape in SHAPES:
        site.document = shape
        page.reload()
        expect(page.locator("#work")).to_be_visible()


def test_deep_and_wide_answers_do_not_stop_the_page(site: Site, visit: Open) -> None:
    wide = {f"k{number}": [{"a": number}] * 50 for number in range(2000)}
    deep = Reply(body=b"[" * 3000 + b"]" * 3000)
    site.answer = lambda _: answer(wide)
    page = visit()
    send(page)
    expect(page.locator(".pane .tree").first).to_contain_text("k0")
    site.answer = lambda _: deep
    send(page)
    expect(page.locator(".pane pre").first).to_contain_text("[[[[")
    send(page, "all")
    expect(page.locator("#answers > .note")).to_contain_text("cannot be compared")


def test_the_browser_keeps_the_page_to_its_own_path_and_without_markup(site: Site, visit: Open) -> None:
    page = visit()
    assert page.evaluate(f"fetch('{NEIGHBOUR}/openapi.json').then(() => 'passed', () => 'blocked')") == "blocked"
    assert page.evaluate("fetch('openapi.json').then(() => 'passed', () => 'blocked')") == "blocked", "of the namespace"
    markup = "try { document.body.innerHTML = '<b>x</b>'; 'set' } catch (error) { error.name }"
    assert page.evaluate(markup) == "TypeError"
    styled = """() => { const made = document.createElement("p"); made.setAttribute("style", "color: red");
        document.body.append(made); return getComputedStyle(made).color; }"""
    assert page.evaluate(styled) != "rgb(255, 0, 0)"
    assert site.strayed == []


def test_the_keyboard_alone_is_enough(site: Site, visit: Open) -> None:
    page = visit()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the request")).to_be_focused()
    page.keyboard.press("Enter")
    for name in ("Form", "praise"):
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text(name)
    page.get_by_role("tab", name="Form").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Body")).to_be_focused()
    expect(page.locator("#body")).to_be_visible()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".pane")).to_be_visible()
    assert sent(site) == [PRAISE]


def test_the_theme_is_the_systems_until_one_is_chosen(visit: Open) -> None:
    page = visit(scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_label("Theme").select_option("Light")
    assert page.evaluate(ground) != dark
    page.reload()
    assert page.evaluate(ground) != dark


@pytest.mark.parametrize(("scheme", "size"), [("light", WIDE), ("dark", WIDE), ("dark", NARROW)])
def test_no_finding_of_axe_and_no_overflow(visit: Open, scheme: Scheme, size: ViewportSize, screenshots: Path) -> None:
    page = visit(scheme=scheme, size=size)
    page.get_by_role("button", name="Add context").click()
    for name, mode in (("one", "split"), ("base", "base"), ("blind", "blind")):
        send(page, mode)
        page.get_by_role("button", name="Bad").first.click()
        expect(page.locator(".reason").first).to_be_visible()
        if name == "blind":
            tab(page, "Code")
        findings = Axe().run(page)
        assert findings.violations_count == 0, findings.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=screenshots / f"{name}-{scheme}-{size['width']}.png", full_page=True)
