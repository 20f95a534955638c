"""CodeBuild as a builder: what its documents mean, and whole builds in the embedded one."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.stub import ANY, Stubber
from tests.aws.cloud import Cloud
from tests.eep_platform.codebuild import conftest as of_codebuild
from tests.eep_platform.codebuild.conftest import ECR, CodeBuild, Source

from eep_platform.aws.faults import Fault, FaultError
from eep_platform.codebuild.projects import GIT_SOURCES
from eep_platform.containers.image import architecture
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.features.images.builds.buildspec import Tools, buildspec
from ephemeral_endpoints.features.images.builds.codebuild import ACTIONS, CodeBuildBuilder
from ephemeral_endpoints.features.images.builds.policy import Build, BuildTarget, Commit, Copy, Result, Step, Tenant
from ephemeral_endpoints.features.images.references import ImageReference
from ephemeral_endpoints.features.images.registry import Images

TENANT = Tenant("uid-of-the-class", "previews")
codebuild, source_of = of_codebuild.codebuild, of_codebuild.source_of

PROJECT = "previews"
REGION = "us-east-1"
OWNER = "abcdefghij"
REPOSITORY = f"{'0' * 12}.dkr.ecr.{REGION}.amazonaws.com/previews"
REVISION = "a" * 40
BUILD_SECONDS = 240
COMMIT = Commit("https://github.com/acme/sentiment.git", REVISION)
ORDER = BuildTarget(REPOSITORY, COMMIT, "linux/amd64", TENANT)
# CodeBuild returns seconds since 1970; botocore makes of them times of the machine's own zone.
ELSEWHERE = timezone(timedelta(hours=5))
STARTED = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
ENDED = STARTED + timedelta(minutes=3)


@pytest.fixture
def builder(clients: Clients, calls: Calls) -> CodeBuildBuilder:
    return CodeBuildBuilder(clients.codebuild, clients.logs, calls, PROJECT, Tools(REGION), OWNER)


def phase(name: str, status: str | None = "SUCCEEDED", *messages: str) -> dict[str, Any]:
    """A phase of a build, as BatchGetBuilds returns it."""
    contexts = [{"statusCode": "CODE", "message": message} for message in messages]
    return {"phaseType": name, "contexts": contexts, **({"phaseStatus": status} if status else {})}


def described(
    status: str,
    *phases: dict[str, Any],
    current: str = "COMPLETED",
    number: int = 1,
    image: str | None = ORDER.image,
    owner: str = OWNER,
) -> dict[str, Any]:
    """A build, as BatchGetBuilds returns it."""
    given = [{"name": "EEP_OWNER", "value": owner}, *([{"name": "EEP_IMAGE", "value": image}] if image else [])]
    return {
        "id": f"{PROJECT}:{number}",
        "buildStatus": status,
        "currentPhase": current,
        "startTime": STARTED.astimezone(ELSEWHERE),
        **({"endTime": ENDED.astimezone(ELSEWHERE)} if status != "IN_PROGRESS" else {}),
        "phases": list(phases),
        "environment": {"type": "LINUX_CONTAINER", "image": "i", "computeType": "c", "environmentVariables": given},
        "logs": {"groupName": "/aws/codebuild/previews", "streamName": "s", "deepLink": "https://console/s"},
    }


EARLIER = Build(f"{PROJECT}:1", ORDER.image, Result.RUNNING, Step.WAITING, STARTED)

DESCRIBED: list[tuple[str, dict[str, Any], Result, Step, str]] = [
    *(
        (f"it runs: {name}", described("IN_PROGRESS", current=name), Result.RUNNING, step, "")
        for name, step in [
            ("SUBMITTED", Step.WAITING),
            ("QUEUED", Step.WAITING),
            ("PROVISIONING", Step.WAITING),
            ("DOWNLOAD_SOURCE", Step.FETCHING),
            ("INSTALL", Step.CHECKING),
            ("PRE_BUILD", Step.BUILDING),
            ("BUILD", Step.BUILDING),
            ("POST_BUILD", Step.PUSHING),
            ("UPLOAD_ARTIFACTS", Step.PUSHING),
            ("FINALIZING", Step.PUSHING),
            ("COMPLETED", Step.PUSHING),
        ]
    ),
    ("all went well", described("SUCCEEDED", phase("BUILD")), Result.SUCCEEDED, Step.PUSHING, ""),
    (
        "a phase has failed, others still run",
        described("IN_PROGRESS", phase("BUILD", "FAILED", "no"), current="FINALIZING"),
        Result.RUNNING,
        Step.PUSHING,
        "",
    ),
    (
        "the Dockerfile fails",
        described("FAILED", phase("PRE_BUILD"), phase("BUILD", "FAILED", "exit status 1"), phase("FINALIZING")),
        Result.FAILED,
        Step.BUILDING,
        "exit status 1",
    ),
    (
        "the first of two that fail is the reason",
        described("FAILED", phase("BUILD", "FAILED", "one"), phase("POST_BUILD", "FAILED", "two")),
        Result.FAILED,
        Step.BUILDING,
        "one",
    ),
    (
        "pushing fails, which has several reasons on several lines",
        described("FAILED", phase("BUILD"), phase("POST_BUILD", "FAILED", "one\n  line", "", "another")),
        Result.FAILED,
        Step.PUSHING,
        "one line; another",
    ),
    (
        "the login fails, which is not the commit's doing",
        described("FAILED", phase("PRE_BUILD", "FAILED", "denied")),
        Result.FAILED,
        Step.WAITING,
        "denied",
    ),
    (
        "the commit is refused before it is built",
        described("FAILED", phase("INSTALL", "FAILED", "a link leads out of it")),
        Result.FAILED,
        Step.CHECKING,
        "a link leads out of it",
    ),
    (
        "the commit cannot be fetched",
        described("FAILED", phase("DOWNLOAD_SOURCE", "FAILED", "reference not found")),
        Result.FAILED,
        Step.FETCHING,
        "reference not found",
    ),
    (
        "no machine could be had",
        described("FAILED", phase("QUEUED"), phase("PROVISIONING", "FAILED", "no capacity")),
        Result.FAULT,
        Step.WAITING,
        "no capacity",
    ),
    (
        "it was queued for too long",
        described("TIMED_OUT", phase("SUBMITTED"), phase("QUEUED", "TIMED_OUT")),
        Result.FAULT,
        Step.WAITING,
        "",
    ),
    (
        "CodeBuild itself fails",
        described("FAULT", phase("BUILD", "FAULT", "internal error")),
        Result.FAULT,
        Step.BUILDING,
        "internal error",
    ),
    ("it takes too long", described("TIMED_OUT", phase("BUILD", "TIMED_OUT")), Result.TIMED_OUT, Step.BUILDING, ""),
    (
        "the login takes too long",
        described("TIMED_OUT", phase("PRE_BUILD", "TIMED_OUT")),
        Result.TIMED_OUT,
        Step.BUILDING,
        "",
    ),
    ("somebody stops it", described("STOPPED", phase("BUILD", "STOPPED")), Result.STOPPED, Step.BUILDING, ""),
    (
        "somebody stops it before it begins",
        described("STOPPED", phase("QUEUED", "STOPPED")),
        Result.STOPPED,
        Step.WAITING,
        "",
    ),
    ("no phase is reported", described("FAILED"), Result.FAILED, Step.PUSHING, ""),
    ("a word that is new", described("SOMETHING_NEW"), Result.FAULT, Step.PUSHING, ""),
]


@pytest.mark.parametrize(
    ("shown", "expected"), [(row[1], row[2:]) for row in DESCRIBED], ids=[row[0] for row in DESCRIBED]
)
async def test_descriptions_of_codebuild_are_understood(
    clients: Clients, builder: CodeBuildBuilder, shown: dict[str, Any], expected: tuple[Result, Step, str]
) -> None:
    with Stubber(clients.codebuild) as stubber:
        stubber.add_response("batch_get_builds", {"builds": [shown]}, {"ids": [EARLIER.id]})
        [build] = await builder.refresh([EARLIER])
    assert (build.result, build.step, build.message) == expected
    assert (build.id, build.image, build.log_url) == (EARLIER.id, ORDER.image, "https://console/s")
    assert (build.started_at, build.started_at.tzinfo) == (STARTED, UTC)
    assert build.ended_at == (None if expected[0] is Result.RUNNING else ENDED)
    assert build.is_running == (expected[0] is Result.RUNNING)


@pytest.mark.parametrize(
    ("shown", "attempts", "reason"),
    [
        (described("FAILED", phase("BUILD", "FAILED")), 1, "the same Dockerfile fails again"),
        (described("FAILED", phase("DOWNLOAD_SOURCE", "FAILED")), 1, "the same commit is not there again"),
        (described("FAILED", phase("PRE_BUILD", "FAILED")), 2, "a login may succeed"),
        (described("FAILED", phase("POST_BUILD", "FAILED")), 2, "pushing may succeed"),
        (described("FAILED", phase("PROVISIONING", "FAILED")), 2, "there may be a machine"),
        (described("TIMED_OUT", phase("QUEUED", "TIMED_OUT")), 2, "there may be room"),
        (described("TIMED_OUT", phase("BUILD", "TIMED_OUT")), 1, "it takes as long again"),
        (described("FAULT"), 2, "CodeBuild may be well"),
    ],
)
async def test_what_may_succeed_another_time_is_begun_again(
    clients: Clients, builder: CodeBuildBuilder, shown: dict[str, Any], attempts: int, reason: str
) -> None:
    with Stubber(clients.codebuild) as stubber:
        stubber.add_response("batch_get_builds", {"builds": [shown]})
        [build] = await builder.refresh([EARLIER])
    assert 1 + build.can_be_helped == attempts, reason


async def test_a_failed_command_is_reported_by_its_reason_only(clients: Clients, builder: CodeBuildBuilder) -> None:
    message = "Error while executing command: docker buildx build --tag a.b:c . Reason: exit status 1"
    answer = described("FAILED", phase("BUILD", "FAILED", message))
    with Stubber(clients.codebuild) as stubber:
        stubber.add_response("batch_get_builds", {"builds": [answer]})
        [build] = await builder.refresh([EARLIER])
    assert build.message == "exit status 1"


async def test_of_a_long_message_the_begin_and_the_reason_at_its_end_stay(
    clients: Clients, builder: CodeBuildBuilder
) -> None:
    long = f"The image {'x' * 5000} cannot be pulled. Reason: denied"
    with Stubber(clients.codebuild) as stubber:
        stubber.add_response("batch_get_builds", {"builds": [described("FAILED", phase("BUILD", "FAILED", long))]})
        [build] = await builder.refresh([EARLIER])
    assert len(build.message) == 300
    assert build.message.startswith("The image xx")
    assert build.message.endswith("cannot be pulled. Reason: denied")


def numbered(numbers: Sequence[int]) -> list[str]:
    return [f"{PROJECT}:{number}" for number in numbers]


async def test_builds_are_looked_at_a_hundred_a_call_and_come_back_in_their_order(
    clients: Clients, builder: CodeBuildBuilder
) -> None:
    builds = [replace(EARLIER, id=id_) for id_ in numbered(range(150))]
    with Stubber(clients.codebuild) as stubber:
        for part in (range(100), range(100, 150)):
            found = [described("SUCCEEDED", number=number) for number in reversed(part)]
            stubber.add_response("batch_get_builds", {"builds": found}, {"ids": numbered(part)})
        seen = await builder.refresh(builds)
        stubber.assert_no_pending_responses()
    assert [build.id for build in seen] == [build.id for build in builds]
    assert {build.result for build in seen} == {Result.SUCCEEDED}


async def test_nothing_is_asked_about_no_builds(clients: Clients, builder: CodeBuildBuilder) -> None:
    with Stubber(clients.codebuild):
        assert await builder.refresh([]) == []


async def test_a_build_that_is_not_found_any_more_counts_as_stopped(
    clients: Clients, builder: CodeBuildBuilder
) -> None:
    with Stubber(clients.codebuild) as stubber:
        stubber.add_response("batch_get_builds", {"builds": [], "buildsNotFound": [EARLIER.id]})
        [build] = await builder.refresh([EARLIER])
    assert (build.id, build.image, build.result) == (EARLIER.id, EARLIER.image, Result.STOPPED)
    assert build.ended_at is not None


async def test_the_list_goes_back_as_long_as_a_page_shows_builds_that_run(
    clients: Clients, builder: CodeBuildBuilder
) -> None:
    pages: list[tuple[list[int], list[dict[str, Any]]]] = [
        ([5, 4], [described("IN_PROGRESS", number=5), described("SUCCEEDED", number=4, image=None)]),
        ([3, 2, 1], [described("FAILED", number=2), described("SUCCEEDED", number=3), described("FAILED", owner="x")]),
    ]
    with Stubber(clients.codebuild) as stubber:
        for turn, (numbers, builds) in enumerate(pages):
            asked = {"projectName": PROJECT, "sortOrder": "DESCENDING", **({"nextToken": "1"} if turn else {})}
            answer = {"ids": numbered(numbers), "nextToken": str(turn + 1)}
            stubber.add_response("list_builds_for_project", answer, asked)
            stubber.add_response("batch_get_builds", {"builds": builds}, {"ids": numbered(numbers)})
        found = await builder.all()
        stubber.assert_no_pending_responses()
    assert [build.id for build in found] == numbered([5, 3, 2]), "4 makes no image, 1 is another class's"


async def test_a_project_without_builds_has_none(clients: Clients, builder: CodeBuildBuilder) -> None:
    with Stubber(clients.codebuild) as stubber:
        stubber.add_response("list_builds_for_project", {})
        assert await builder.all() == []


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("https://github.com/acme/sentiment.git", "GITHUB"),
        ("https://gitlab.com/acme/sentiment.git", "GITLAB"),
        ("https://bitbucket.org/acme/sentiment.git", "BITBUCKET"),
        ("https://git-codecommit.us-east-1.amazonaws.com/v1/repos/sentiment", "CODECOMMIT"),
        ("https://git-codecommit-fips.us-east-1.amazonaws.com/v1/repos/sentiment", "CODECOMMIT"),
        ("https://git.example.com/acme/sentiment.git", "GITHUB_ENTERPRISE"),
        ("https://github.com.example.com/acme/sentiment.git", "GITHUB_ENTERPRISE"),
    ],
)
async def test_a_commit_is_fetched_from_where_it_is(
    clients: Clients, builder: CodeBuildBuilder, location: str, kind: str
) -> None:
    assert kind in GIT_SOURCES, "the embedded CodeBuild builds from it"
    target = replace(ORDER, origin=replace(COMMIT, location=location, secrets=(("pip", "builds/pip"),)))
    asked = {
        "projectName": PROJECT,
        "sourceTypeOverride": kind,
        "sourceLocationOverride": location,
        "sourceVersion": REVISION,
        "buildspecOverride": buildspec(target, Tools(REGION)),
        "environmentVariablesOverride": [
            {"name": "EEP_IMAGE", "value": target.image, "type": "PLAINTEXT"},
            {"name": "EEP_OWNER", "value": OWNER, "type": "PLAINTEXT"},
            {"name": "EEP_SECRET_0", "value": "builds/pip", "type": "SECRETS_MANAGER"},
        ],
        "timeoutInMinutesOverride": 30,
        "idempotencyToken": ANY,
    }
    with Stubber(clients.codebuild) as stubber:
        stubber.add_response("start_build", {"build": described("IN_PROGRESS", current="QUEUED")}, asked)
        build = await builder.begin(target, attempt=1, timeout_seconds=1800)
    assert (build.image, build.result, build.step) == (target.image, Result.RUNNING, Step.WAITING)


async def test_a_copy_has_no_source(clients: Clients, builder: CodeBuildBuilder) -> None:
    target = replace(ORDER, origin=Copy("docker.io/library/nginx:1.27", REVISION))
    asked = {
        "projectName": PROJECT,
        "sourceTypeOverride": "NO_SOURCE",
        "buildspecOverride": buildspec(target, Tools(REGION)),
        "environmentVariablesOverride": [
            {"name": "EEP_IMAGE", "value": target.image, "type": "PLAINTEXT"},
            {"name": "EEP_OWNER", "value": OWNER, "type": "PLAINTEXT"},
        ],
        "timeoutInMinutesOverride": 5,
        "idempotencyToken": ANY,
    }
    with Stubber(clients.codebuild) as stubber:
        stubber.add_response("start_build", {"build": described("IN_PROGRESS")}, asked)
        await builder.begin(target, attempt=1, timeout_seconds=300)


@pytest.mark.parametrize(
    ("seconds", "minutes", "reason"),
    [
        (1, 5, "CodeBuild takes no less"),
        (301, 6, "a minute that has begun is a whole one"),
        (8 * 3600, 480, "the most that a class may ask for"),
        (10**6, 2160, "CodeBuild takes no more"),
    ],
)
async def test_a_build_has_as_many_minutes_as_codebuild_takes(
    clients: Clients, builder: CodeBuildBuilder, seconds: int, minutes: int, reason: str
) -> None:
    asked: dict[str, Any] = {}
    clients.codebuild.meta.events.register_first(
        "provide-client-params.codebuild.StartBuild", lambda params, **_: asked.update(params), unique_id="asked"
    )
    try:
        with Stubber(clients.codebuild) as stubber:
            stubber.add_response("start_build", {"build": described("IN_PROGRESS")})
            await builder.begin(ORDER, attempt=1, timeout_seconds=seconds)
    finally:
        clients.codebuild.meta.events.unregister("provide-client-params.codebuild.StartBuild", unique_id="asked")
    assert asked["timeoutInMinutesOverride"] == minutes, reason


def container(text: str) -> str:
    """A line of CodeBuild's own."""
    return f"[Container] 2026/11/01 12:00:00.123456 {text}\n"


@pytest.mark.parametrize(
    ("messages", "expected", "reason"),
    [
        (
            [container("Running command docker"), "#1 one\n", "\n", "#2 two\n#3 three\n", container("Phase complete")],
            ("#2 two", "#3 three"),
            "the newest of the commands' own",
        ),
        (
            [container("Entering phase"), container("Phase complete: DOWNLOAD_SOURCE State: FAILED")],
            (
                container("Entering phase").rstrip(),
                container("Phase complete: DOWNLOAD_SOURCE State: FAILED").rstrip(),
            ),
            "there are no others",
        ),
        (["[Container] says the model\n"], ("[Container] says the model",), "not of CodeBuild: it has no time"),
        ([], (), "nothing was written"),
    ],
)
async def test_the_newest_lines_of_a_build_are_read(
    clients: Clients, builder: CodeBuildBuilder, messages: list[str], expected: tuple[str, ...], reason: str
) -> None:
    asked = {
        "logGroupName": "/aws/codebuild/previews",
        "logStreamName": "s",
        "limit": 102,
        "startFromHead": False,
    }
    with Stubber(clients.codebuild) as stubber, Stubber(clients.logs) as logs:
        stubber.add_response("batch_get_builds", {"builds": [described("FAILED")]})
        logs.add_response("get_log_events", {"events": [{"message": message} for message in messages]}, asked)
        assert await builder.last_lines(EARLIER, count=2) == expected, reason


@pytest.mark.parametrize("shown", [[], [{**described("FAILED"), "logs": {}}]])
async def test_a_build_without_logs_has_no_lines(
    clients: Clients, builder: CodeBuildBuilder, shown: list[dict[str, Any]]
) -> None:
    with Stubber(clients.codebuild) as stubber, Stubber(clients.logs):
        stubber.add_response("batch_get_builds", {"builds": shown})
        assert await builder.last_lines(EARLIER, count=2) == ()


async def test_a_build_whose_logs_are_gone_has_no_lines(clients: Clients, builder: CodeBuildBuilder) -> None:
    with Stubber(clients.codebuild) as stubber, Stubber(clients.logs) as logs:
        stubber.add_response("batch_get_builds", {"builds": [described("FAILED")]})
        logs.add_client_error("get_log_events", "ResourceNotFoundException", "gone", 400)
        assert await builder.last_lines(EARLIER, count=2) == ()


@pytest.mark.parametrize("status", ["SUCCEEDED", "IN_PROGRESS"])
async def test_a_refusal_to_stop_is_fine_only_if_the_build_has_ended(
    clients: Clients, builder: CodeBuildBuilder, status: str
) -> None:
    with Stubber(clients.codebuild) as stubber:
        stubber.add_client_error("stop_build", "InvalidInputException", "cannot be stopped", 400)
        stubber.add_response("batch_get_builds", {"builds": [described(status)]})
        if status == "IN_PROGRESS":
            with pytest.raises(errors.Invalid):
                await builder.stop(EARLIER)
        else:
            await builder.stop(EARLIER)
        stubber.assert_no_pending_responses()


class Site:
    """The embedded CodeBuild with a repository to push to."""

    def __init__(self, cloud: Cloud, codebuild: CodeBuild) -> None:
        self.cloud = cloud
        self.codebuild = codebuild
        self.repository = f"{ECR}/{codebuild.project}"
        cloud.clients.ecr.create_repository(repositoryName=codebuild.project)
        self.builder = CodeBuildBuilder(
            cloud.clients.codebuild,
            cloud.clients.logs,
            cloud.calls,
            codebuild.project,
            Tools(cloud.scope.region),
            OWNER,
        )

    def target(self, source: Source, **commit: Any) -> BuildTarget:  # noqa: ANN401 - members of any type
        origin = replace(Commit(f"file://{source.path}", source.sha), **commit)
        return BuildTarget(self.repository, origin, f"linux/{architecture()}", TENANT)

    async def made(self, target: BuildTarget) -> Build:
        """Begin a build and wait for its end."""
        build = await self.builder.begin(target, attempt=1, timeout_seconds=600)
        async with asyncio.timeout(BUILD_SECONDS):
            while build.is_running:
                await asyncio.sleep(0.05)
                [build] = await self.builder.refresh([build])
        return build

    async def digest(self, image: str) -> str | None:
        state = await Images(self.cloud.clients.ecr).resolve(self.cloud.calls, ImageReference.parse(image))
        return state.digest


@pytest.fixture
def site(cloud: Cloud, codebuild: CodeBuild) -> Site:
    return Site(cloud, codebuild)


SCRATCH = {"model/Dockerfile": "FROM python:3.11-slim\nARG MODEL_REVISION\nCOPY a /a\n", "model/a": "a"}


async def test_an_image_is_built_of_a_commit_copied_and_found_again(
    site: Site, source_of: Callable[..., Source]
) -> None:
    target = site.target(source_of(files=SCRATCH), context="model")
    build = await site.made(target)
    lines = await site.builder.last_lines(build, count=20)
    assert (build.result, build.step, build.message) == (Result.SUCCEEDED, Step.PUSHING, ""), lines
    digest = await site.digest(target.image)
    assert digest is not None
    assert lines
    assert not [line for line in lines if line.startswith("[Container]")]

    copied = replace(target, origin=Copy(f"{site.repository}@{digest}", REVISION))
    second = await site.made(copied)
    assert second.result is Result.SUCCEEDED, await site.builder.last_lines(second, count=20)
    assert await site.digest(copied.image) == digest, "it is the very same image"
    assert (build.digest, second.digest) == (digest, digest), "as the builder says, not the registry"
    assert await site.builder.all() == [second, build]


CHECKING = """FROM python:3.11-slim AS first
WORKDIR /out
COPY check.py /out/
RUN --mount=type=secret,id=pip,required=true --mount=type=secret,id=npm,required=true ["python", "/out/check.py"]
FROM python:3.11-slim
COPY --from=first /out /out
"""
CHECK = "assert [open('/run/secrets/' + name).read() for name in ('pip', 'npm')] == ['one', 'two']"


async def test_a_dockerfile_finds_its_secrets_and_a_missing_secret_is_reported(
    site: Site, source_of: Callable[..., Source]
) -> None:
    secrets = site.cloud.aws.client("secretsmanager")
    for name, value in (("builds/pip", "one"), ("builds/npm", "two")):
        secrets.create_secret(Name=name, SecretString=value)
    source = source_of(files={"Dockerfile": CHECKING, "check.py": CHECK})
    build = await site.made(site.target(source, secrets=(("pip", "builds/pip"), ("npm", "builds/npm"))))
    assert build.result is Result.SUCCEEDED, await site.builder.last_lines(build, count=50)

    other = replace(site.target(source, secrets=(("pip", "builds/absent"), ("npm", "builds/npm"))), platform="linux/x")
    build = await site.made(other)
    assert (build.result, build.step) == (Result.FAILED, Step.FETCHING)
    assert "secret" in build.message.lower()


async def test_a_dockerfile_that_fails_says_why(site: Site, source_of: Callable[..., Source]) -> None:
    source = source_of(files={"Dockerfile": "FROM python:3.11-slim\nCOPY absent /a\n"})
    build = await site.made(site.target(source))
    assert (build.result, build.step, build.can_be_helped) == (Result.FAILED, Step.BUILDING, False)
    assert "exit status 1" in build.message
    assert any("absent" in line for line in await site.builder.last_lines(build, count=5))
    assert build.seconds > 0
    assert site.codebuild.project in build.log_url


async def test_a_commit_that_is_not_there_fails_at_fetching(site: Site, source_of: Callable[..., Source]) -> None:
    build = await site.made(site.target(source_of(files=SCRATCH), revision=REVISION))
    assert (build.result, build.step, build.can_be_helped) == (Result.FAILED, Step.FETCHING, False)


async def test_a_repository_that_is_not_there_fails_at_pushing(site: Site, source_of: Callable[..., Source]) -> None:
    target = replace(site.target(source_of(files=SCRATCH), context="model"), repository=f"{ECR}/absent")
    build = await site.made(target)
    assert (build.result, build.step, build.can_be_helped) == (Result.FAILED, Step.PUSHING, True)


async def test_a_builder_that_has_no_machine_is_a_fault(site: Site, source_of: Callable[..., Source]) -> None:
    site.codebuild.settings(fail_provisioning=1)
    build = await site.made(site.target(source_of(files=SCRATCH)))
    assert (build.result, build.step, build.can_be_helped) == (Result.FAULT, Step.WAITING, True)


async def test_a_build_whose_answer_was_lost_is_not_begun_twice(site: Site, source_of: Callable[..., Source]) -> None:
    site.codebuild.settings(concurrency=0)
    target = site.target(source_of(files=SCRATCH))
    site.cloud.aws.control.add_faults(Fault(service="codebuild", operation="StartBuild", times=1, answer_lost=True))
    with pytest.raises(errors.Transient):
        await site.builder.begin(target, attempt=1, timeout_seconds=600)
    [found] = await site.builder.all()
    again = await site.builder.begin(target, attempt=1, timeout_seconds=600)
    assert again == found
    assert (found.image, found.is_running) == (target.image, True)
    other = await site.builder.begin(target, attempt=2, timeout_seconds=600)
    assert other.id != again.id
    assert {build.id for build in await site.builder.all()} == {again.id, other.id}


async def test_a_build_is_stopped_once_and_what_is_over_or_unknown_needs_no_stopping(
    site: Site, source_of: Callable[..., Source]
) -> None:
    site.codebuild.settings(concurrency=0)
    build = await site.builder.begin(site.target(source_of(files=SCRATCH)), attempt=1, timeout_seconds=600)
    await asyncio.gather(*(site.builder.stop(each) for each in (build, build)))
    [stopped] = await site.builder.refresh([build])
    assert stopped.result is Result.STOPPED
    await site.builder.stop(stopped)
    await site.builder.stop(replace(build, id=f"{site.codebuild.project}:00000000-0000-4000-8000-000000000000"))


async def test_a_full_queue_is_a_quota_and_a_project_that_is_gone_is_missing(
    site: Site, source_of: Callable[..., Source]
) -> None:
    site.codebuild.settings(concurrency=0, most_queued=0)
    with pytest.raises(errors.QuotaExceeded):
        await site.builder.begin(site.target(source_of(files=SCRATCH)), attempt=1, timeout_seconds=600)
    clients = site.cloud.clients
    elsewhere = CodeBuildBuilder(
        clients.codebuild, clients.logs, site.cloud.calls, "absent", Tools(site.cloud.scope.region), OWNER
    )
    with pytest.raises(errors.NotFound):
        await elsewhere.all()


async def test_builds_of_others_in_the_project_are_not_ours(site: Site) -> None:
    site.codebuild.start(of_codebuild.spec(build=["true"]))
    assert await site.builder.all() == []


async def test_a_builder_declares_exactly_the_actions_that_it_needs(
    site: Site, source_of: Callable[..., Source], reported: list[tuple[str, str, str]]
) -> None:
    site.codebuild.settings(concurrency=0)
    reported.clear()
    build = await site.builder.begin(site.target(source_of(files=SCRATCH)), attempt=1, timeout_seconds=600)
    await site.builder.all()
    await site.builder.last_lines(build, count=5)
    await site.builder.stop(build)
    assert {f"{service}:{operation}" for service, operation, _ in reported} == ACTIONS


async def test_a_refusal_is_an_error(cloud: Cloud, builder: CodeBuildBuilder) -> None:
    refusal = FaultError(code="AccessDeniedException", message="no", status=400)
    cloud.aws.control.add_faults(Fault(service="codebuild", error=refusal))
    with pytest.raises(errors.Denied):
        await builder.all()
