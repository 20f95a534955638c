import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.eep_platform.codebuild.conftest import CodeBuild, Source, context, eventually, phases, spec

from ephemeral_endpoints.deploy.event_queue import builds_pattern
from ephemeral_endpoints.features.serving.event_messages import Changed, Kind, changed_in

MISSING = "0" * 40
Rules = Callable[[Mapping[str, Any]], Callable[[int], list[str]]]
"""Make a rule of a pattern, and what returns the bodies of the messages that it has caused, once they are so many."""


def test_a_build_without_source_runs_its_commands_in_one_environment(codebuild: CodeBuild) -> None:
    build = codebuild.run(
        spec(
            install=["export GREETING=hello", "mkdir inner && cd inner"],
            build=[
                'echo "$GREETING from $(basename "$PWD") of $CODEBUILD_BUILD_ID"',
                "exit 0",
                'echo "still $GREETING"',
            ],
            post_build=['echo "succeeding: $CODEBUILD_BUILD_SUCCEEDING"; printf "no newline"'],
        )
    )
    assert build["buildStatus"] == "SUCCEEDED"
    assert set(phases(build).values()) == {"SUCCEEDED", None}
    log = codebuild.log(build)
    assert f"hello from inner of {build['id']}" in log
    assert {"still hello", "succeeding: 1", "no newline"} <= set(log)
    running = next(index for index, line in enumerate(log) if "Running command" in line and "printf" in line)
    assert log[running].startswith("[Container] 2")
    assert log[running + 1 : running + 3] == ["succeeding: 1", "no newline"]


def test_a_build_is_described_as_it_was_ordered(codebuild: CodeBuild) -> None:
    build = codebuild.run(
        spec(build=["true"]),
        environmentVariablesOverride=[{"name": "A", "value": "1"}],
        timeoutInMinutesOverride=7,
        queuedTimeoutInMinutesOverride=8,
        privilegedModeOverride=False,
        computeTypeOverride="BUILD_GENERAL1_LARGE",
    )
    project, _, uuid = build["id"].partition(":")
    assert build["arn"].endswith(f":build/{build['id']}")
    assert (project, build["projectName"], build["buildNumber"]) == (codebuild.project, codebuild.project, 1)
    assert build["environment"]["environmentVariables"] == [{"name": "A", "value": "1", "type": "PLAINTEXT"}]
    assert build["environment"]["computeType"] == "BUILD_GENERAL1_LARGE"
    assert build["environment"]["privilegedMode"] is False
    assert (build["timeoutInMinutes"], build["queuedTimeoutInMinutes"]) == (7, 8)
    assert (build["logs"]["groupName"], build["logs"]["streamName"]) == (f"/aws/codebuild/{project}", uuid)
    assert build["endTime"] >= build["startTime"]
    assert build["currentPhase"] == "COMPLETED"
    assert codebuild.run(spec(build=["true"]))["buildNumber"] == 2


def test_a_build_sees_nothing_of_the_machine_and_where_the_embedded_aws_is(
    codebuild: CodeBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    log = codebuild.log(codebuild.run(spec(build=["env"])))
    variables = {line.partition("=")[0]: line.partition("=")[2] for line in log if "=" in line}
    aws = {name for name in variables if name.startswith("AWS_")}
    assert aws == {
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ENDPOINT_URL"),
    }
    assert variables["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert variables["HOME"] != str(Path.home())


def test_a_failed_build_command_is_reported_and_post_build_still_runs(codebuild: CodeBuild) -> None:
    build = codebuild.run(
        spec(
            build=["echo before", "sh -c 'exit 3'", "echo never"], post_build=['echo "and $CODEBUILD_BUILD_SUCCEEDING"']
        )
    )
    assert build["buildStatus"] == "FAILED"
    assert context(build, "BUILD") == (
        "COMMAND_EXECUTION_ERROR",
        "Error while executing command: sh -c 'exit 3'. Reason: exit status 3",
    )
    assert phases(build) | {"BUILD": None} == dict.fromkeys(phases(build), "SUCCEEDED") | {
        "BUILD": None,
        "COMPLETED": None,
    }
    log = codebuild.log(build)
    assert {"before", "and 0"} <= set(log)
    assert "never" not in log


@pytest.mark.parametrize("failing", ["install", "pre_build", "build", "post_build"])
def test_abort_ends_the_build_with_the_phase_that_failed(codebuild: CodeBuild, failing: str) -> None:
    names = ["install", "pre_build", "build", "post_build"]
    parts = {name: ["true"] for name in names} | {failing: {"on-failure": "ABORT", "commands": ["false"]}}
    build = codebuild.run(spec(**parts))
    entered = [name.lower() for name in phases(build)][4:]
    assert entered == [*names[: names.index(failing) + 1], "finalizing", "completed"]
    assert (build["buildStatus"], phases(build)[failing.upper()]) == ("FAILED", "FAILED")


@pytest.mark.parametrize(
    ("part", "following"),
    [
        ({"commands": ["false"]}, "FINALIZING"),
        ({"commands": ["false"], "on-failure": "CONTINUE"}, "BUILD"),
    ],
)
def test_pre_build_ends_a_build_unless_it_is_to_continue(
    codebuild: CodeBuild, part: dict[str, object], following: str
) -> None:
    build = codebuild.run(spec(pre_build=part, build=["true"]))
    assert list(phases(build))[6] == following
    assert build["buildStatus"] == "FAILED"


def test_finally_follows_commands_that_failed(codebuild: CodeBuild) -> None:
    build = codebuild.run(spec(build={"commands": ["false"], "finally": ["echo tidied"]}))
    assert build["buildStatus"] == "FAILED"
    assert "tidied" in codebuild.log(build)


def test_a_version_may_be_a_commit_a_branch_a_tag_or_none(
    codebuild: CodeBuild, source_of: Callable[..., Source]
) -> None:
    source = source_of(files={"folder/file": "content", "buildspec.yml": spec(build=["cat folder/file", "ls -d .git"])})
    for version in (source.sha, "main", "v1", f"refs/heads/main^{{{source.sha}}}", ""):
        overrides = source.override | {"sourceVersion": version, "buildspecOverride": "buildspec.yml"}
        if not version:
            del overrides["sourceVersion"]
        build = codebuild.wait(codebuild.client.start_build(projectName=codebuild.project, **overrides)["build"]["id"])
        assert (build["buildStatus"], build["resolvedSourceVersion"]) == ("SUCCEEDED", source.sha), version
        assert {"content", ".git"} <= set(codebuild.log(build))


@pytest.mark.parametrize(
    ("location", "version", "message"),
    [
        (None, MISSING, f"reference not found for primary source and source version {MISSING}"),
        (None, "no-branch", "reference not found for primary source and source version no-branch"),
        ("file:///does/not/exist.git", "main", "repository not found for primary source and source version main"),
        ("http://127.0.0.1:9/x.git", "main", "repository not found for primary source and source version main"),
    ],
)
def test_a_source_that_is_not_there_fails_its_download(
    codebuild: CodeBuild, source_of: Callable[..., Source], location: str | None, version: str, message: str
) -> None:
    overrides = source_of(files={"x": "y"}).override | {"sourceVersion": version}
    if location:
        overrides["sourceLocationOverride"] = location
    build = codebuild.run(spec(build=["true"]), **overrides)
    assert build["buildStatus"] == "FAILED"
    assert context(build, "DOWNLOAD_SOURCE") == ("CLIENT_ERROR", message)
    assert list(phases(build))[4:] == ["FINALIZING", "COMPLETED"]


@pytest.mark.parametrize(
    ("buildspec", "message"),
    [
        pytest.param("version: 0.2\nphases: [", "while parsing a flow node", id="no YAML"),
        pytest.param("{}", "version", id="no version"),
        pytest.param("version: 0.1\nphases: {}", "version", id="another version"),
        pytest.param("version: 0.2\nphases:\n  deploy: {}", "phases.deploy", id="another phase"),
        pytest.param("version: 0.2\nphases: {}\nreports: {}", "reports", id="what is not done here"),
        pytest.param("version: 0.2\nphases:\n  build:\n    commands: no list\n", "phases.build.commands", id="a type"),
        pytest.param("nowhere.yml", "nowhere.yml: no such file", id="no file"),
        pytest.param("../../../secret", "outside of the source", id="a file beside the source"),
    ],
)
def test_a_buildspec_that_cannot_be_read_fails_the_download(codebuild: CodeBuild, buildspec: str, message: str) -> None:
    build = codebuild.run(buildspec)
    assert build["buildStatus"] == "FAILED"
    code, reported = context(build, "DOWNLOAD_SOURCE")
    assert code == "YAML_FILE_ERROR"
    assert message in reported


def test_secrets_reach_the_build_and_no_log(codebuild: CodeBuild) -> None:
    secrets, parameters = codebuild.aws.client("secretsmanager"), codebuild.aws.client("ssm")
    plain, keyed, parameter = (f"{codebuild.project}-{kind}" for kind in ("plain", "keyed", "parameter"))
    secrets.create_secret(Name=plain, SecretString="s3cret-of-all")
    keyed_arn = secrets.create_secret(Name=keyed, SecretString=json.dumps({"token": "t0ken"}))["ARN"]
    parameters.put_parameter(Name=parameter, Value="parameter-value\nsecond line", Type="SecureString")
    variables = [
        {"name": "PLAIN", "type": "SECRETS_MANAGER", "value": plain},
        {"name": "KEYED", "type": "SECRETS_MANAGER", "value": f"{keyed_arn}:token"},
        {"name": "PARAMETER", "type": "PARAMETER_STORE", "value": parameter},
        {"name": "OPEN", "value": "plain text"},
    ]
    build = codebuild.run(
        spec(
            build=[
                'echo "a ${PLAIN}b${KEYED}c $PARAMETER $OPEN"',
                'test "$PLAIN/$KEYED" = "s3cret-of-all/$(echo t0ken)"',
            ],
            post_build=["sh -c 'exit 4' s3cret-of-all"],
        ),
        environmentVariablesOverride=variables,
    )
    assert build["environment"]["environmentVariables"][0]["value"] == plain
    assert phases(build)["BUILD"] == "SUCCEEDED"
    assert context(build, "POST_BUILD")[1].startswith("Error while executing command: sh -c 'exit 4' ***.")
    log = codebuild.log(build)
    assert {"a ***b***c ***", "*** plain text"} <= set(log)
    assert not [line for line in log if "s3cret" in line or "t0ken" in line or "parameter-value" in line]


@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [
        ("SECRETS_MANAGER", "Secrets Manager Error Message", "ResourceNotFoundException"),
        ("PARAMETER_STORE", "Decrypted Variables Error Message", "ParameterNotFound"),
    ],
)
def test_a_secret_that_is_not_there_fails_the_download(
    codebuild: CodeBuild, kind: str, code: str, message: str
) -> None:
    build = codebuild.run(
        spec(build=["true"]), environmentVariablesOverride=[{"name": "A", "type": kind, "value": "nowhere"}]
    )
    found, reported = context(build, "DOWNLOAD_SOURCE")
    assert (build["buildStatus"], found) == ("FAILED", code)
    assert message in reported


STUBBORN = "trap '' TERM; (trap '' TERM; setsid sleep 600 & sleep 600) & echo running; sleep 600; sleep 600"


def test_a_build_that_is_stopped_leaves_nothing(codebuild: CodeBuild) -> None:
    build_id = codebuild.start(spec(build=[STUBBORN], post_build=["echo never"]))
    codebuild.wait_phase(build_id, "BUILD")
    eventually(lambda: "running" in codebuild.log(codebuild.get(build_id)), "its first line")
    eventually(lambda: len(codebuild.processes(build_id)) >= 4, "all its processes")
    folder = codebuild.processes(build_id)[0].environ()["CODEBUILD_SRC_DIR"]
    stopped = codebuild.client.stop_build(id=build_id)["build"]
    assert (stopped["buildStatus"], stopped["buildComplete"]) == ("STOPPED", True)
    assert phases(stopped)["BUILD"] == "STOPPED"
    assert list(phases(stopped))[-3:] == ["BUILD", "FINALIZING", "COMPLETED"]
    assert codebuild.processes(build_id) == []
    assert not Path(folder).parent.exists()
    again = codebuild.client.stop_build(id=build_id)["build"]
    assert again["endTime"] == stopped["endTime"]


@pytest.fixture
def told(codebuild: CodeBuild) -> Iterator[Rules]:
    sqs, events = codebuild.aws.client("sqs"), codebuild.aws.client("events")
    made: list[tuple[str, str]] = []

    def rule(pattern: Mapping[str, Any]) -> Callable[[int], list[str]]:
        name = f"{codebuild.project}-{len(made)}"
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": queue}])
        made.append((name, url))
        bodies: list[str] = []

        def receive(count: int) -> list[str]:
            def more() -> bool:
                found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", ())
                bodies.extend(each["Body"] for each in found)
                return len(bodies) >= count

            eventually(more, f"{count} messages")
            return bodies

        return receive

    yield rule
    for name, url in made:
        events.remove_targets(Rule=name, Ids=["queue"])
        events.delete_rule(Name=name)
        sqs.delete_queue(QueueUrl=url)


def test_rules_are_told_of_the_beginning_and_of_the_end_of_a_build(codebuild: CodeBuild, told: Rules) -> None:
    codebuild.settings(concurrency=0, side_channel_seconds=0.05)
    of_all = told({"source": ["aws.codebuild"], "detail": {"project-name": [codebuild.project]}})
    of_ends, of_others = told(builds_pattern(codebuild.project[:-1])), told(builds_pattern(f"{codebuild.project}-"))
    stopped = codebuild.start(spec(build=["true"]))
    codebuild.client.stop_build(id=stopped)
    codebuild.settings(concurrency=2)
    failed = codebuild.run(spec(build=["exit 3"]), environmentVariablesOverride=[{"name": "A", "value": "1"}])
    ended = of_ends(2)
    assert [changed_in(each) for each in ended] == [Changed(Kind.BUILD, each) for each in (stopped, failed["id"])]
    details = [json.loads(each)["detail"] for each in of_all(4)]
    statuses = ["IN_PROGRESS", "STOPPED", "IN_PROGRESS", "FAILED"]
    assert [each["build-status"] for each in details] == statuses
    last = json.loads(ended[1])
    assert last["resources"] == [failed["arn"]] == [last["detail"]["build-id"]]
    assert last["detail"]["current-phase"] == "COMPLETED"
    information = last["detail"]["additional-information"]
    assert information["environment"]["environment-variables"] == [{"name": "A", "value": "1", "type": "PLAINTEXT"}]
    assert {each["phase-type"]: each.get("phase-status") for each in information["phases"]} == phases(failed)
    assert of_others(0) == [], "those of another project"


def test_a_command_of_an_image_that_is_built_ends_with_the_build(
    codebuild: CodeBuild, source_of: Callable[..., Source]
) -> None:
    mark = f"{codebuild.project}-sleeps"
    source = source_of(
        files={
            f"{mark}.py": "import time; time.sleep(600)",
            "Dockerfile": f"FROM python:3.11 AS test\nCOPY {mark}.py /\nRUN python /{mark}.py\nFROM python:3.11\n",
        }
    )

    def sleeping() -> list[psutil.Process]:
        return [each for each in psutil.process_iter() if f"/{mark}.py" in (cmdline(each) or [])]

    command = "docker buildx build --target test --output type=cacheonly ."
    build_id = codebuild.start(spec(build=[command]), **source.override)
    eventually(sleeping, "the command of the image")
    codebuild.client.stop_build(id=build_id)
    eventually(lambda: not sleeping(), "the end of the command of the image")


def cmdline(process: psutil.Process) -> list[str] | None:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return None


def test_a_build_that_takes_too_long_is_ended(codebuild: CodeBuild) -> None:
    build_id = codebuild.start(spec(build=[STUBBORN]), timeoutInMinutesOverride=5)
    codebuild.wait_phase(build_id, "BUILD")
    codebuild.settings(minute_seconds=0.001)
    build = codebuild.wait(build_id)
    assert (build["buildStatus"], phases(build)["BUILD"]) == ("TIMED_OUT", "TIMED_OUT")
    assert context(build, "BUILD")[0] == "BUILD_TIMED_OUT"
    assert codebuild.processes(build["id"]) == []


def test_what_a_build_leaves_running_ends_with_it(codebuild: CodeBuild) -> None:
    build = codebuild.run(spec(build=["sleep 600 &"]))
    assert build["buildStatus"] == "SUCCEEDED"
    assert codebuild.processes(build["id"]) == []


def test_builds_beyond_the_concurrency_wait_their_turn(codebuild: CodeBuild, tmp_path: Path) -> None:
    codebuild.settings(concurrency=1)
    gate = tmp_path / "gate"
    first = codebuild.start(spec(build=[f"until [ -e {gate} ]; do sleep 0.05; done"]))
    codebuild.wait_phase(first, "BUILD")
    second, third = (codebuild.start(spec(build=["true"])) for _ in range(2))
    assert {codebuild.get(each)["currentPhase"] for each in (second, third)} == {"QUEUED"}
    stopped = codebuild.client.stop_build(id=third)["build"]
    assert (stopped["buildStatus"], phases(stopped)["QUEUED"]) == ("STOPPED", "STOPPED")
    gate.touch()
    assert codebuild.wait(first)["endTime"] <= codebuild.wait(second)["endTime"]
    assert codebuild.get(second)["buildStatus"] == "SUCCEEDED"


def test_a_build_that_waits_too_long_is_ended(codebuild: CodeBuild) -> None:
    codebuild.settings(concurrency=0, minute_seconds=0.05)
    build = codebuild.run(spec(build=["true"]), queuedTimeoutInMinutesOverride=5)
    assert (build["buildStatus"], phases(build)["QUEUED"]) == ("TIMED_OUT", "TIMED_OUT")


def test_provisioning_can_be_made_to_fail(codebuild: CodeBuild) -> None:
    codebuild.settings(fail_provisioning=1)
    build = codebuild.run(spec(build=["true"]))
    assert (build["buildStatus"], phases(build)["PROVISIONING"]) == ("FAULT", "FAULT")
    assert codebuild.run(spec(build=["true"]))["buildStatus"] == "SUCCEEDED"
