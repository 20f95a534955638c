"""The client against the embedded GitHub: by which credentials it asks, what it follows, what it says of trouble."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from tests.features.reviews.github.clients import Time, app_secret, connected, token_secret
from tests.fixtures.github import REPOSITORY
from tests.fixtures.waiting import eventually

from eep_platform.github.client import GitHubClient as Service
from eep_platform.github.client import sha_of
from ephemeral_endpoints.features.reviews.errors import (
    ForgeDenied,
    ForgeInvalid,
    ForgeLimited,
    ForgeNotFound,
    ForgePermissionMissing,
    ForgeSecretInvalid,
    ForgeUnavailable,
)
from ephemeral_endpoints.features.reviews.github.answers import BadCredentials
from ephemeral_endpoints.features.reviews.github.client import (
    CONFIRMED_SECONDS,
    MOST_PAGES,
    PATIENCE_SECONDS,
    GitHubClient,
)
from ephemeral_endpoints.features.reviews.github.permissions import WRITING
from ephemeral_endpoints.features.reviews.github.transport import KEPT_ANSWERS, MAX_ANSWER_BYTES

REPO = f"/repos/{REPOSITORY}"
COMMENTS = f"{REPO}/issues/1/comments"
QUERY = (
    "query($owner: String!, $name: String!) {"
    "r0: repository(owner: $owner, name: $name) {p1: pullRequest(number: 1) {state}}}"
)
NAMES = {"owner": "acme", "name": "wine"}
BODY = {"body": "hello"}

Requests = dict[str, Callable[[GitHubClient], Coroutine[Any, Any, object]]]
REQUESTS: Requests = {
    "get": lambda client: client.get(REPO),
    "pages": lambda client: everything(client, COMMENTS),
    "write": lambda client: client.write("POST", COMMENTS, BODY),
    "graphql": lambda client: client.graphql(QUERY, NAMES, owner="acme"),
}


async def everything(client: GitHubClient, path: str) -> list[Any]:
    return [item async for item in client.pages(path)]


@pytest.fixture
def pull(github: Service) -> Service:
    github.open(REPOSITORY, sha_of("first"), number=1)
    return github


@pytest.mark.parametrize("kind", ["token", "app"])
async def test_whatever_the_credentials_a_client_reads_writes_and_queries(pull: Service, kind: str) -> None:
    secret = (
        token_secret(pull.add_token("ada")) if kind == "token" else app_secret(pull.add_app("previews", [REPOSITORY]))
    )
    async with connected(pull.url, secret) as client:
        assert (await client.get(REPO))["full_name"] == REPOSITORY
        made = await client.write("POST", COMMENTS, BODY)
        assert [each["id"] for each in await everything(client, COMMENTS)] == [made["id"]]
        answer = await client.graphql(QUERY, NAMES, owner="acme")
        assert (answer.data["r0"]["p1"]["state"], answer.unknown) == ("OPEN", {})
        login = await client.login()
        assert login == made["user"]["login"] == ("ada" if kind == "token" else "previews[bot]")
        pull.forget_calls()
        assert await client.login() == login
    assert pull.calls() == {}, "who we are is asked once"


async def test_tokens_of_an_app_are_as_narrow_as_what_they_are_for(pull: Service) -> None:
    pull.add_repository("acme/other")
    app = pull.add_app("previews", [REPOSITORY, "acme/other"], permissions={**WRITING, "contents": "write"})
    async with connected(pull.url, app_secret(app)) as client:
        authority = await client.authority()
        writing, reading = (await authority.writing(REPOSITORY)), (await authority.reading("acme"))
    assert writing.authorization != reading.authorization
    async with connected(pull.url, token_secret(writing.authorization.removeprefix("token "))) as thief:
        await thief.write("POST", COMMENTS, BODY)
        with pytest.raises(ForgeNotFound):
            await thief.get("/repos/acme/other")
    async with connected(pull.url, token_secret(reading.authorization.removeprefix("token "))) as thief:
        assert await thief.get("/repos/acme/other")
        with pytest.raises(ForgePermissionMissing):
            await thief.write("POST", COMMENTS, BODY)


async def test_tokens_of_an_app_are_kept_until_shortly_before_they_end(pull: Service) -> None:
    app, time = pull.add_app("previews", [REPOSITORY]), Time()
    minted = "apps/create-installation-access-token"
    async with connected(pull.url, app_secret(app), time) as client:
        for _ in range(3):
            await client.get(REPO)
        assert pull.calls()[minted] == 2, "one to find the repository's number, one for the repository"
        time.seconds += 3600 - 301
        pull.advance(3600 - 301)
        await client.get(REPO)
        assert pull.calls()[minted] == 2
        time.seconds += 2
        pull.advance(2)
        await client.get(REPO)
        assert pull.calls()[minted] == 3, "the number is known"


async def test_an_app_without_some_permission_does_what_it_can(pull: Service) -> None:
    app = pull.add_app("previews", [REPOSITORY], permissions={"metadata": "read", "pull_requests": "write"})
    async with connected(pull.url, app_secret(app)) as client:
        await client.write("POST", COMMENTS, BODY)
        with pytest.raises(ForgePermissionMissing, match="needs statuses=write, which a platform engineer must grant"):
            await client.write("POST", f"{REPO}/statuses/{sha_of('first')}", {"state": "pending"})


async def test_a_revoked_token_is_read_again_once_from_its_secret(pull: Service) -> None:
    secret = token_secret(pull.add_token("ada"))
    async with connected(pull.url, secret) as client:
        await client.get(REPO)
        pull.revoke(secret.content["token"])
        secret.content = {"token": pull.add_token("ada")}
        await client.write("POST", COMMENTS, BODY)
        assert secret.reads == 2
    assert len(pull.seen(REPOSITORY, 1).comments) == 1


@pytest.mark.parametrize("request_", REQUESTS)
async def test_a_revoked_token_is_said_without_showing_it(pull: Service, request_: str) -> None:
    secret, told = token_secret(pull.add_token("ada")), list[ForgeDenied]()
    pull.revoke(secret.content["token"])
    async with connected(pull.url, secret, denied=told.append) as client:
        with pytest.raises(ForgeDenied, match="a platform engineer must renew the Secret") as caught:
            await REQUESTS[request_](client)
    assert secret.content["token"] not in str(caught.value)
    assert secret.reads == 2
    assert told == [caught.value]


@pytest.mark.parametrize("request_", REQUESTS)
async def test_an_app_that_was_uninstalled_is_said(pull: Service, request_: str) -> None:
    app = pull.add_app("previews", [REPOSITORY])
    async with connected(pull.url, app_secret(app)) as client:
        await client.get(REPO)
        pull.uninstall(app)
        with pytest.raises(ForgeDenied, match="an owner of acme must install the App"):
            await REQUESTS[request_](client)


async def test_an_app_that_is_installed_again_is_used_again(pull: Service) -> None:
    app = pull.add_app("previews", [REPOSITORY])
    secret = app_secret(app)
    async with connected(pull.url, secret) as client:
        await client.get(REPO)
        pull.uninstall(app)
        again = pull.add_app("reviews", [REPOSITORY])
        secret.content = app_secret(again).content
        await client.write("POST", COMMENTS, BODY)
        assert await client.login() == "reviews[bot]"


async def test_a_repository_that_the_app_is_not_installed_in_is_hidden(pull: Service) -> None:
    pull.add_repository("acme/secret")
    async with connected(pull.url, app_secret(pull.add_app("previews", [REPOSITORY]))) as client:
        with pytest.raises(ForgeNotFound):
            await client.get("/repos/acme/secret")
        with pytest.raises(ForgeNotFound):
            await client.write("POST", "/repos/acme/secret/issues/1/comments", BODY)


async def test_an_installation_can_be_named(pull: Service) -> None:
    app = pull.add_app("previews", [REPOSITORY])
    async with connected(pull.url, app_secret(app, installationId=str(app.installation_id))) as client:
        assert await client.get(REPO)
    async with connected(pull.url, app_secret(app, installationId="999999")) as client:
        with pytest.raises(ForgeDenied, match="the App's installation 999999 does not exist"):
            await client.get(REPO)


@pytest.mark.parametrize("kind", ["token", "app"])
async def test_a_renamed_repository_is_followed(pull: Service, kind: str) -> None:
    secret = (
        token_secret(pull.add_token("ada")) if kind == "token" else app_secret(pull.add_app("previews", [REPOSITORY]))
    )
    pull.rename(REPOSITORY, "acme/vintage")
    for number in range(101):
        pull.comment("acme/vintage", 1, "ada", str(number))
    async with connected(pull.url, secret) as client:
        assert (await client.get(REPO))["full_name"] == "acme/vintage"
        await client.write("POST", COMMENTS, BODY)
        assert len(await everything(client, f"{COMMENTS}?per_page=100")) == 102


async def test_an_app_is_believed_whatever_the_clock_of_this_machine_says(pull: Service) -> None:
    time = Time(wrong=timedelta(hours=-3))
    async with connected(pull.url, app_secret(pull.add_app("previews", [REPOSITORY])), time) as client:
        assert await client.get(REPO)
    refused = [each for each in pull.log() if each["status"] == 401]
    assert len(refused) == 1, "its first answer tells the time"


async def test_a_key_that_is_none_is_said(pull: Service) -> None:
    app = pull.add_app("previews", [REPOSITORY])
    secret = app_secret(app)
    secret.content = {**secret.content, "privateKey": "-----BEGIN RSA PRIVATE KEY-----\nno\n"}
    async with connected(pull.url, secret) as client:
        with pytest.raises(
            ForgeSecretInvalid, match="privateKey in the Secret eep/forge-github is not an RSA private key"
        ):
            await client.get(REPO)
    assert pull.calls() == {}


async def test_the_key_of_another_app_is_refused(pull: Service) -> None:
    ours, other = pull.add_app("previews", [REPOSITORY]), pull.add_app("other", [REPOSITORY])
    secret = app_secret(ours)
    secret.content = {**secret.content, "privateKey": other.private_key}
    async with connected(pull.url, secret) as client:
        with pytest.raises(BadCredentials):
            await client.get(REPO)


TROUBLES: list[tuple[dict[str, Any], str]] = [
    ({"effect": "error", "status": 500}, "a fault"),
    ({"effect": "error", "status": 502}, "a gateway"),
    ({"effect": "html"}, "a page for people with status 200"),
    ({"effect": "empty"}, "nothing with status 200"),
    ({"effect": "reset"}, "a connection that ends"),
    ({"effect": "answer_lost"}, "a connection that ends when all is done"),
    ({"held": True}, "no answer"),
]


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize(("trouble", "reason"), TROUBLES, ids=[reason for _, reason in TROUBLES])
async def test_what_is_no_answer_is_unavailability(
    pull: Service, request_: str, trouble: dict[str, Any], reason: str
) -> None:
    assert reason
    pull.trouble(trouble)
    seconds = 0.5 if "held" in trouble else 60
    async with connected(pull.url, token_secret(pull.add_token("ada")), timeout_seconds=seconds) as client:
        with pytest.raises(ForgeUnavailable, match="the operator tries again"):
            await REQUESTS[request_](client)
    await asyncio.to_thread(eventually, pull.calls, "the request, which nobody waits for any more")
    # aiohttp itself repeats a read whose connection ends: RFC 9110, section 9.2.2.
    most = 2 if request_ in {"get", "pages"} else 1
    assert sum(pull.calls().values()) <= most, "its caller decides about another try"


async def test_a_write_whose_answer_is_lost_is_not_sent_again(pull: Service) -> None:
    pull.trouble({"operation": "issues/create-comment", "effect": "answer_lost", "times": 1})
    async with connected(pull.url, token_secret(pull.add_token("ada"))) as client:
        with pytest.raises(ForgeUnavailable):
            await client.write("POST", COMMENTS, BODY)
    assert len(pull.seen(REPOSITORY, 1).comments) == 1


@pytest.mark.parametrize("request_", REQUESTS)
async def test_what_is_not_found_once_is_asked_for_again_after_a_pause(pull: Service, request_: str) -> None:
    time = Time()
    async with connected(pull.url, token_secret(pull.add_token("ada")), time) as client:
        await client.login()
        pull.trouble({"effect": "error", "status": 404, "times": 1})
        await REQUESTS[request_](client)
    assert time.slept == [CONFIRMED_SECONDS]
    assert len(pull.seen(REPOSITORY, 1).comments) == (request_ == "write")


@pytest.mark.parametrize("request_", REQUESTS)
async def test_what_is_not_found_twice_is_not_found(pull: Service, request_: str) -> None:
    async with connected(pull.url, token_secret(pull.add_token("ada"))) as client:
        await client.login()
        pull.trouble({"effect": "error", "status": 404})
        pull.forget_calls()
        with pytest.raises(ForgeNotFound):
            await REQUESTS[request_](client)
    assert sum(pull.calls().values()) == 2


async def test_a_wrong_write_is_said_with_githubs_words(pull: Service) -> None:
    async with connected(pull.url, token_secret(pull.add_token("ada"))) as client:
        with pytest.raises(ForgeInvalid, match="GitHub answers POST /repos/acme/wine/issues/1/comments with 422"):
            await client.write("POST", COMMENTS, {"text": "hello"})


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize(
    ("trouble", "seconds", "reason"),
    [
        ({"effect": "secondary_limit", "retry_after": 77}, 77, "GitHub says for how long"),
        ({"effect": "secondary_limit"}, 60, "it does not: a minute"),
    ],
)
async def test_after_a_secondary_limit_nothing_is_sent_for_a_while(
    pull: Service, request_: str, trouble: dict[str, Any], seconds: int, reason: str
) -> None:
    assert reason
    time = Time()
    pull.trouble({**trouble, "times": 1})
    async with connected(pull.url, token_secret(pull.add_token("ada")), time) as client:
        with pytest.raises(ForgeLimited, match="the operator waits") as caught:
            await REQUESTS[request_](client)
        assert caught.value.retry_after == seconds
        pull.forget_calls()
        for each in REQUESTS.values():
            with pytest.raises(ForgeLimited):
                await each(client)
        assert pull.calls() == {}
        time.seconds += seconds
        await REQUESTS[request_](client)
    assert not time.slept or max(time.slept) <= PATIENCE_SECONDS, "nobody is kept waiting for it"


async def test_the_primary_limit_of_reads_is_kept_to(pull: Service) -> None:
    pull.settings(limits={"core_per_hour": 20})
    time = Time()
    async with connected(pull.url, token_secret(pull.add_token("ada")), time) as client:
        for number in range(18):
            await client.get(f"{REPO}/pulls?page={number}")
        with pytest.raises(ForgeLimited):
            await client.write("POST", COMMENTS, BODY)
        await client.get(f"{REPO}/pulls?page=18")
        await client.get(f"{REPO}/pulls?page=19")
        with pytest.raises(ForgeLimited) as caught:
            await client.get(REPO)
        assert 3590 < caught.value.retry_after <= 3600
        assert pull.calls() == {"pulls/list": 20}, "GitHub refused nothing"
        time.seconds += 3600
        pull.advance(3600)
        await client.write("POST", COMMENTS, BODY)


async def test_what_was_not_modified_costs_nothing(pull: Service) -> None:
    pull.settings(limits={"core_per_hour": 10})
    async with connected(pull.url, token_secret(pull.add_token("ada"))) as client:
        first = await client.get(REPO)
        for _ in range(30):
            assert await client.get(REPO) == first
        pull.comment(REPOSITORY, 1, "ada", "a comment")
        assert await everything(client, COMMENTS)
    assert pull.calls()["repos/get"] == 31


async def test_few_answers_are_kept_and_those_that_are_asked_for(pull: Service) -> None:
    async with connected(pull.url, token_secret(pull.add_token("ada"))) as client:
        await client.get(REPO)
        for number in range(KEPT_ANSWERS - 1):
            await client.get(f"{REPO}/pulls?page={number}")
        await client.get(REPO)
        await client.get(f"{REPO}/pulls?page=999")
        pull.forget_calls()
        await client.get(REPO)
        await client.get(f"{REPO}/pulls?page=0")
    assert [each["status"] for each in pull.log()[-2:]] == [304, 200]


async def test_writes_are_sent_one_by_one_and_a_second_apart(pull: Service) -> None:
    time, began = Time(), list[float]()
    async with connected(
        pull.url, token_secret(pull.add_token("ada")), time, check=lambda: began.append(time.seconds)
    ) as client:
        await asyncio.gather(*(client.write("POST", COMMENTS, {"body": str(number)}) for number in range(10)))
    assert began == [1000.0 + number for number in range(10)]
    assert [each["body"] for each in pull.seen(REPOSITORY, 1).comments] == [str(number) for number in range(10)]


async def test_who_leads_no_more_writes_no_more(pull: Service) -> None:
    def check() -> None:
        raise RuntimeError("the Lease has run out")

    async with connected(pull.url, token_secret(pull.add_token("ada")), check=check) as client:
        await client.get(REPO)
        with pytest.raises(RuntimeError):
            await client.write("POST", COMMENTS, BODY)
    assert pull.seen(REPOSITORY, 1).comments == []


async def test_a_query_tells_what_it_could_not_find_out(pull: Service) -> None:
    asked = "p1: pullRequest(number: 1) {state} p2: pullRequest(number: 2) {state}"
    query = (
        f'{{r0: repository(owner: "acme", name: "wine") {{{asked}}} r1: repository(owner: "acme", name: "no") {{id}}}}'
    )
    async with connected(pull.url, token_secret(pull.add_token("ada"))) as client:
        answer = await client.graphql(query, {}, owner="acme")
    assert answer.data["r0"]["p1"] == {"state": "OPEN"}
    assert answer.unknown.keys() == {"r0.p2", "r1"}
    async with connected(pull.url, token_secret(pull.add_token("ada"))) as client:
        with pytest.raises(ForgeInvalid):
            await client.graphql("query {nonsense}", {}, owner="acme")


Handler = Callable[[web.Request], web.Response]


@pytest.fixture
async def stranger(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401 - an asynchronous generator
    """The URL of a server that answers everything as the test's parameter says, and what it was asked."""
    asked = list[web.Request]()

    async def answer(each: web.Request) -> web.Response:
        asked.append(each)
        handler: Handler = request.param
        return handler(each)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}", asked
    await runner.cleanup()


def to(location: str, status: int = 301) -> Handler:
    return lambda _: web.json_response({}, status=status, headers={"Location": location})


@pytest.mark.parametrize(
    ("stranger", "requests", "message"),
    [
        pytest.param(
            to("http://localhost:1/api/v3/user"), 1, "another host, which gets no credentials", id="elsewhere"
        ),
        pytest.param(to("//evil.example/api/v3/user", 307), 1, "another host", id="elsewhere, without a scheme"),
        pytest.param(to("/login"), 1, "another host", id="a page for people"),
        pytest.param(to("/api/v3/repositories/7"), 4, "redirected again and again", id="in a circle"),
        pytest.param(
            lambda _: web.Response(body=b" " * (MAX_ANSWER_BYTES + 1)),
            1,
            f"more than {MAX_ANSWER_BYTES} bytes",
            id="too much",
        ),
        pytest.param(lambda _: web.json_response("hello"), 1, "not GitHub's", id="a text"),
        pytest.param(lambda _: web.Response(status=401, text="no"), 1, "not GitHub's", id="a proxy that refuses"),
    ],
    indirect=["stranger"],
)
@pytest.mark.parametrize("request_", ["get", "write"])
async def test_a_server_that_is_not_github_learns_and_costs_little(
    stranger: tuple[str, list[web.Request]], requests: int, message: str, request_: str
) -> None:
    url, asked = stranger
    async with connected(url, token_secret("ghp_secret")) as client:
        with pytest.raises(ForgeUnavailable, match=message):
            await REQUESTS[request_](client)
    assert len(asked) == requests


@pytest.mark.parametrize(
    "stranger",
    [
        lambda each: web.json_response(
            [1], headers={"Link": f'<{each.url.origin()}/api/v3/repos/acme/wine/more>; rel="next"'}
        )
    ],
    indirect=True,
)
async def test_a_list_without_an_end_ends(stranger: tuple[str, list[web.Request]]) -> None:
    url, asked = stranger
    async with connected(url, token_secret("ghp_secret")) as client:
        with pytest.raises(ForgeInvalid, match=f"more than {MOST_PAGES} pages"):
            await everything(client, COMMENTS)
    assert len(asked) == MOST_PAGES


@pytest.mark.parametrize(
    "stranger",
    [lambda _: web.json_response([1], headers={"Link": '<https://evil.example/api/v3/x>; rel="next"'})],
    indirect=True,
)
async def test_a_list_goes_on_at_no_other_host(stranger: tuple[str, list[web.Request]]) -> None:
    url, asked = stranger
    async with connected(url, token_secret("ghp_secret")) as client:
        assert await everything(client, COMMENTS) == [1]
    assert len(asked) == 1


async def test_a_github_that_is_not_there_is_unavailable() -> None:
    async with connected("http://127.0.0.1:1", token_secret("ghp_secret")) as client:
        for each in REQUESTS.values():
            with pytest.raises(ForgeUnavailable, match="GitHub does not answer"):
                await each(client)


@pytest.mark.parametrize(
    ("trouble", "outcomes"),
    [
        ([], [("read", "ok"), ("write", "ok"), ("read", "ok")]),
        ([{"effect": "error", "status": 502}], [("read", "ForgeUnavailable"), ("write", "ForgeUnavailable")]),
        (
            [{"operation": "graphql", "effect": "primary_limit"}],
            [("read", "ok"), ("write", "ok"), ("read", "ForgeLimited")],
        ),
    ],
)
async def test_each_request_is_counted_with_its_outcome(
    pull: Service, trouble: list[dict[str, Any]], outcomes: list[tuple[str, str]]
) -> None:
    counted: list[tuple[str, str]] = []
    secret = token_secret(pull.add_token("ada"))
    async with connected(pull.url, secret, count=lambda *each: counted.append(each)) as client:
        pull.trouble(*trouble)
        for name in ("get", "write", "graphql"):
            with suppress(ForgeUnavailable):
                await REQUESTS[name](client)
    assert counted[: len(outcomes)] == outcomes
