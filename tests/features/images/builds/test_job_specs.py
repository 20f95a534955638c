import base64
import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.api.v1alpha1.builder_images import SKOPEO
from ephemeral_endpoints.api.v1alpha1.image_policy import JobBuild
from ephemeral_endpoints.engine.errors import Invalid
from ephemeral_endpoints.features.images.builds import job_specs as buildjob
from ephemeral_endpoints.features.images.builds.buildctl import arguments
from ephemeral_endpoints.features.images.builds.job_outcome import build_of, speaking_container, told_lines
from ephemeral_endpoints.features.images.builds.job_specs import JobScope, job, job_name
from ephemeral_endpoints.features.images.builds.policy import Build, BuildTarget, Commit, Copy, Result, Step, Tenant
from ephemeral_endpoints.features.images.builds.source_check import FETCH, REFUSED

TENANT = Tenant("uid-of-the-class", "previews")
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
OTHER_REGISTRY = "210987654321.dkr.ecr.us-east-1.amazonaws.com"
REPOSITORY = f"{REGISTRY}/previews/models"
SHA = "1f0c2a9" + "0" * 33
LOCATION = "https://github.com/acme/sentiment.git"
SETTINGS = JobBuild(namespace="builds", service_account_name="builder")
WITH_TOKEN = JobBuild(namespace="builds", service_account_name="builder", git_secret="git")  # noqa: S106 - a name
SCOPE = JobScope(SETTINGS, "c1", "default")
PLAIN = BuildTarget(REPOSITORY, Commit(LOCATION, SHA), "linux/amd64", TENANT)
COPY = BuildTarget(REPOSITORY, Copy("public.ecr.aws/acme/model:1.2", SHA), "linux/amd64", TENANT)
FULL = BuildTarget(
    REPOSITORY,
    Commit(
        LOCATION,
        SHA,
        context="models/sentiment",
        dockerfile="docker/Dockerfile.gpu",
        target="runtime",
        arguments=(("A", "1"), ("B", "x y")),
        secrets=(("pip-token", "pip"), ("npm", "registry-npm")),
    ),
    "linux/arm64",
    TENANT,
)
CREATED, DELETED, ENDED = "2026-11-21T12:00:00Z", "2026-11-21T12:02:00Z", "2026-11-21T12:03:00Z"
FLAGS = {
    "--progress",
    "--frontend",
    "--opt",
    "--secret",
    "--import-cache",
    "--export-cache",
    "--output",
    "--local",
}

segments = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,8}", fullmatch=True)
paths = st.lists(segments, min_size=1, max_size=4).map("/".join)
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)
values = printable | st.sampled_from(["$(AWS_ROLE_ARN)", "$$(HOME)", "$", "$$", "--output", "-", ",dest=/x", "a,b=c"])
pairs = st.dictionaries(names, values, max_size=4).map(lambda found: tuple(sorted(found.items())))
commits = st.builds(
    Commit,
    location=st.just(LOCATION),
    revision=st.from_regex("[0-9a-f]{40}", fullmatch=True),
    context=paths | st.just("."),
    dockerfile=paths,
    target=st.none() | st.from_regex("[A-Za-z][A-Za-z0-9_.-]{0,8}", fullmatch=True),
    arguments=pairs,
    secrets=st.dictionaries(labels, labels, max_size=3).map(lambda found: tuple(sorted(found.items()))),
)
copies = st.builds(
    Copy,
    image=st.from_regex(
        r"[a-z0-9]([a-z0-9.-]{0,8}[a-z0-9])?(:[0-9]{1,5})?/[a-z0-9]{1,9}:[A-Za-z0-9._-]{1,9}", fullmatch=True
    ),
    revision=st.just(SHA),
)
platforms = st.sampled_from(["linux/amd64", "linux/arm64"])


def as_run(text: str, variables: Mapping[str, str]) -> str:
    """What Kubernetes makes of an argument: third_party/forked/golang/expansion of its repository."""

    def replaced(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else variables.get(found[1], found[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replaced, text)


def of(manifest: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """The Pod, the container of the credentials and that of the build, or of the copy."""
    pod = manifest["spec"]["template"]["spec"]
    containers: dict[str, Any] = {each["name"]: each for each in pod["initContainers"] + pod["containers"]}
    return pod, containers["credentials"], containers.get("build", containers["push"])


def called(container: Mapping[str, Any]) -> list[list[str]]:
    """The programs that the shell of a container calls, one a line; a line whose failure is none ends in ``true``."""
    shell, flags, script = container["command"]
    assert (shell, flags) == ("sh", "-euc")
    return [shlex.split(line) for line in as_run(script, {}).split("\n")]


def made(target: BuildTarget, settings: JobBuild = SETTINGS) -> dict[str, Any]:
    return job(JobScope(settings, "c1", "default"), target, attempt=1, timeout_seconds=1800)


def built(settings: JobBuild, target: BuildTarget) -> list[str]:
    assert isinstance(target.origin, Commit)
    return arguments(settings, target, target.origin)


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, f"{path}.{key}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from leaves(each, f"{path}[{index}]")
    else:
        yield path, value


def test_the_name_is_of_cluster_image_and_attempt_alone_and_a_dns_label() -> None:
    name = job_name("abcdefgh", PLAIN.image, 3)
    assert re.fullmatch(r"eep-abcdefgh-build-[0-9a-f]{32}-3", name)
    assert len(job_name("abcdefgh", PLAIN.image, 10**9)) <= 63
    assert name == job_name("abcdefgh", PLAIN.image, 3)
    others = {
        job_name("other", PLAIN.image, 3),
        job_name("abcdefgh", FULL.image, 3),
        job_name("abcdefgh", PLAIN.image, 4),
    }
    assert len(others | {name}) == 4


def test_a_commit_is_built_with_all_that_the_order_says() -> None:
    assert built(WITH_TOKEN, FULL) == [
        "build",
        *("--progress", "plain"),
        *("--frontend", "dockerfile.v0"),
        *("--opt", "platform=linux/arm64"),
        *("--opt", f"context={LOCATION}#{SHA}:models/sentiment"),
        *("--opt", "filename=docker/Dockerfile.gpu"),
        *("--opt", "target=runtime"),
        *("--opt", "build-arg:SOURCE_DATE_EPOCH=0"),
        *("--opt", "build-arg:A=1"),
        *("--opt", "build-arg:B=x y"),
        *("--opt", f"build-arg:MODEL_REVISION={SHA}"),
        *("--secret", "id=GIT_AUTH_TOKEN.github.com,src=/run/secrets/eep-git/token"),
        *("--secret", "id=pip-token,src=/run/secrets/eep/pip-token"),
        *("--secret", "id=npm,src=/run/secrets/eep/npm"),
        *("--import-cache", "type=local,src=/run/eep/build/cache-0"),
        *("--import-cache", "type=local,src=/run/eep/build/cache-1"),
        "--export-cache",
        "type=local,dest=/run/eep/build/cache,mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true",
        *("--output", "type=oci,dest=/run/eep/build/image.tar,rewrite-timestamp=true"),
    ]


def test_the_root_of_the_repository_needs_no_folder() -> None:
    assert f"context={LOCATION}#{SHA}" in built(SETTINGS, PLAIN)
    assert "--secret" not in built(SETTINGS, PLAIN)


def test_a_copy_runs_nothing_of_the_image_and_has_no_more_rights_than_it_needs() -> None:
    # A build FROM the image would run its ONBUILD instructions where the password is.
    pod, credentials, copy = of(made(COPY, WITH_TOKEN))
    assert (copy["name"], copy["image"]) == ("push", SKOPEO)
    assert called(copy) == [
        [
            *("skopeo", "--override-os", "linux", "--override-arch", "amd64"),
            *("copy", "--authfile", "/run/eep/registry/config.json", "--format", "v2s2"),
            *("--digestfile", "/dev/termination-log"),
            *("docker://public.ecr.aws/acme/model:1.2", f"docker://{COPY.image}"),
        ]
    ]
    assert [each["name"] for each in pod["initContainers"]] == ["credentials"]
    assert copy["securityContext"] == credentials["securityContext"]
    assert copy["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {volume["name"] for volume in pod["volumes"]} == {"registry", "scratch", "work"}
    assert {each["name"] for each in copy["volumeMounts"]} == {"registry", "scratch", "work"}
    skipped = made(COPY)["spec"]["template"]["metadata"]["annotations"]["eks.amazonaws.com/skip-containers"]
    assert "push" in skipped.split(","), "it gets no credentials of the role"


def test_the_commit_is_checked_before_anything_else_happens() -> None:
    commit = Commit(LOCATION, SHA, context="$(HOME)", dockerfile="--help", frontends=("docker/dockerfile:1*",))
    manifest = made(BuildTarget(REPOSITORY, commit, "linux/amd64", TENANT), WITH_TOKEN)
    source = manifest["spec"]["template"]["spec"]["initContainers"][0]
    variables = {each["name"]: each["value"] for each in source["env"]}
    assert [as_run(each, variables) for each in source["command"]] == ["sh", "-c", FETCH, "source"]
    assert [as_run(each, variables) for each in source["args"]] == [SHA, "$(HOME)", "--help", "docker/dockerfile:1*"]
    assert variables == {
        "SOURCE": "/run/eep/source",
        "LOCATION": LOCATION,
        "REVISION": SHA,
        "TOKEN": "/run/secrets/eep-git/token",
        "HOST": "https://github.com",
    }
    assert {mount["name"] for mount in source["volumeMounts"]} == {"source", "git"}
    _, credentials, build = of(manifest)
    assert source["securityContext"] == credentials["securityContext"]
    assert "source" not in {mount["name"] for mount in build["volumeMounts"]}


def test_secrets_are_files_that_only_the_build_sees() -> None:
    pod, credentials, build = of(made(FULL, WITH_TOKEN))
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["secrets"]["projected"] == {
        "sources": [
            {"secret": {"name": "pip", "items": [{"key": "value", "path": "pip-token", "mode": 0o400}]}},
            {"secret": {"name": "registry-npm", "items": [{"key": "value", "path": "npm", "mode": 0o400}]}},
        ],
        "defaultMode": 0o400,
    }
    assert volumes["git"]["secret"]["secretName"] == "git"
    mounts = {mount["name"]: mount for mount in build["volumeMounts"]}
    assert mounts["secrets"] == {"name": "secrets", "mountPath": "/run/secrets/eep", "readOnly": True}
    assert mounts["git"] == {"name": "git", "mountPath": "/run/secrets/eep-git", "readOnly": True}
    assert {mount["name"] for mount in credentials["volumeMounts"]} == {"registry", "scratch"}


@pytest.mark.parametrize("name", ["", "builds/pip", "Pip", "pip-", "a..b", "a" * 254, "pip\n"])
def test_a_secret_that_cannot_be_there_is_refused_at_once(name: str) -> None:
    target = BuildTarget(REPOSITORY, Commit(LOCATION, SHA, secrets=(("pip-token", name),)), "linux/amd64", TENANT)
    with pytest.raises(Invalid, match="maps pip-token to"):
        made(target)


def test_the_job_runs_once_for_so_long_and_with_so_much() -> None:
    settings = JobBuild(namespace="builds", service_account_name="builder", cpu="500m", memory="8Gi")
    spec = made(PLAIN, settings)["spec"]
    pod, *_ = of(made(PLAIN, settings))
    containers = [*pod["initContainers"], *pod["containers"]]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (0, 1800, 3600)
    assert pod["restartPolicy"] == "Never"
    amounts = {"cpu": "500m", "memory": "8Gi", "ephemeral-storage": "20Gi"}
    for container in containers:
        assert container["resources"] == {"requests": amounts, "limits": amounts}
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_nothing_has_more_rights_than_it_needs() -> None:
    manifest = made(PLAIN)
    pod, credentials, build = of(manifest)
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert credentials["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert build["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["SETUID", "SETGID"]}
    annotations = manifest["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"eks.amazonaws.com/skip-containers": "source,restore,build,push"}, (
        "the commit's code gets no role of AWS"
    )


def test_no_process_of_a_commit_is_where_a_password_is() -> None:
    # The Dockerfile's RUN may read all that its container may, since BuildKit runs without a sandbox of processes.
    pod, _, build = of(made(FULL, WITH_TOKEN))
    assert {each["name"] for each in build["volumeMounts"]} == {"work", "buildkit", "secrets", "git"}
    assert {each["name"] for each in build["env"]} == {"BUILDKITD_FLAGS", "BUILDCTL_CONNECT_RETRIES_MAX"}
    assert not any(REGISTRY in word or "push" in word for word in build["args"])
    [push] = pod["containers"]
    assert build in pod["initContainers"], "all of it has ended before anything is pushed"
    authfile = ("--authfile", "/run/eep/registry/config.json")
    assert called(push) == [
        [
            "skopeo",
            "copy",
            *authfile,
            "--format",
            "v2s2",
            "--digestfile",
            "/dev/termination-log",
            "oci-archive:/run/eep/build/image.tar",
            f"docker://{FULL.image}",
        ],
        [
            *("skopeo", "copy", *authfile, "--preserve-digests", "oci:/run/eep/build/cache:latest"),
            *(f"docker://{FULL.cache}", "||", "true"),
        ],
    ]


def test_base_images_are_pulled_with_the_password_that_the_class_gives_for_that() -> None:
    pod, _, build = of(made(PLAIN, SETTINGS.model_copy(update={"pull_secret": "bases"})))
    items = [{"key": ".dockerconfigjson", "path": "config.json", "mode": 0o400}]
    assert {"name": "pull", "secret": {"secretName": "bases", "items": items, "defaultMode": 0o400}} in pod["volumes"]
    assert {"name": "pull", "mountPath": "/run/secrets/eep-pull", "readOnly": True} in build["volumeMounts"]
    assert {"name": "DOCKER_CONFIG", "value": "/run/secrets/eep-pull"} in build["env"]


def test_a_build_begins_with_the_caches_that_it_may_use() -> None:
    [_, _, restore, _] = made(FULL)["spec"]["template"]["spec"]["initContainers"]
    assert [words[-4:] for words in called(restore)] == [
        [f"docker://{cache}", f"oci:/run/eep/build/cache-{number}:latest", "||", "true"]
        for number, cache in enumerate(FULL.caches)
    ]


def test_nodes_of_the_images_architecture_are_preferred() -> None:
    pod, *_ = of(made(FULL))
    (term,) = pod["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["preference"]["matchExpressions"][0]["values"] == ["arm64"]


@given(target=st.builds(BuildTarget, st.just(REPOSITORY), commits, platforms, st.just(TENANT)))
def test_nothing_in_an_order_becomes_an_option_or_another_argument(target: BuildTarget) -> None:
    _, credentials, build = of(made(target, WITH_TOKEN))
    assert isinstance(target.origin, Commit)
    variables = {each["name"]: each["value"] for each in build["env"]} | {"AWS_ROLE_ARN": "x", "HOME": "y"}
    got = [as_run(argument, variables) for argument in build["args"]]
    assert got == arguments(WITH_TOKEN, target, target.origin), "Kubernetes replaces nothing"
    assert got[0] == "build"
    assert set(got[1::2]) <= FLAGS
    keys = [value.partition("=")[0] for flag, value in zip(got[1::2], got[2::2], strict=True) if flag == "--opt"]
    assert keys.count("context") == keys.count("platform") == 1
    given_arguments = [key.removeprefix("build-arg:") for key in keys if key.startswith("build-arg:")]
    expected = [name for name, _ in target.origin.arguments]
    assert given_arguments == ["SOURCE_DATE_EPOCH", *expected, "MODEL_REVISION"]
    assert as_run(credentials["command"][2], variables) == buildjob.CREDENTIALS_SCRIPT


@given(st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_nothing_in_a_copy_becomes_a_command_of_the_shell(image: str) -> None:
    _, _, copy = of(made(BuildTarget(REPOSITORY, Copy(f"quay.io/{image}", SHA), "linux/amd64", TENANT)))
    [words] = called(copy)
    assert words[-2] == f"docker://quay.io/{re.sub(':[^:/@]+(?=@)', '', image)}"
    assert len(words) == 14


ALLOWED = re.compile(
    r"\.metadata\.(name|annotations\.ephemeral-endpoints\.io/image)"
    r"|\.spec\.template\.spec\.(containers\[0\]\.command\[2\]|initContainers\[2\]\.command\[2\]"
    r"|initContainers\[3\]\.args\[\d+\]"
    r"|initContainers\[0\]\.(env\[[1-4]\]\.value|args\[\d+\])"
    r"|initContainers\[1\]\.env\[1\]\.value"
    r"|volumes\[5\]\.projected\.sources\[\d\]\.secret\.(name|items\[0\]\.path))"
)


@given(commits, platforms)
def test_an_order_changes_its_own_fields_of_the_manifest_and_no_other(commit: Commit, platform: str) -> None:
    target = BuildTarget(REPOSITORY, commit, platform, TENANT)
    harmless = Commit(LOCATION, SHA, secrets=tuple((f"s{index}", "x") for index in range(len(commit.secrets))))
    hostile = dict(leaves(made(target)))
    expected = dict(leaves(made(BuildTarget(REPOSITORY, harmless, platform, TENANT))))
    differing = {path for path in hostile.keys() | expected.keys() if hostile.get(path) != expected.get(path)}
    assert {path for path in differing if not ALLOWED.fullmatch(path)} == set()


@given(copies)
def test_a_copys_source_changes_its_own_fields_of_the_manifest_and_no_other(copy: Copy) -> None:
    hostile, expected = (
        dict(leaves(made(BuildTarget(REPOSITORY, copy, "linux/amd64", TENANT)))),
        dict(leaves(made(COPY))),
    )
    differing = {path for path in hostile.keys() | expected.keys() if hostile.get(path) != expected.get(path)}
    assert {path for path in differing if not ALLOWED.fullmatch(path)} == set()


def run_script(folder: Path, *, aws: str, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "aws").write_text(f"#!/bin/sh\n{aws}\n")
    (folder / "aws").chmod(0o755)
    return subprocess.run(  # noqa: S603 - our own script
        ["/bin/sh", "-c", buildjob.CREDENTIALS_SCRIPT],
        env={"PATH": f"{folder}:/usr/bin:/bin", "DOCKER_CONFIG": str(folder), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_script_writes_a_password_for_each_registry_and_says_nothing(tmp_path: Path) -> None:
    ran = run_script(tmp_path, aws='printf "%s" "password of $*"', REGISTRIES=f"{REGISTRY} {OTHER_REGISTRY}")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    file = tmp_path / "config.json"
    assert file.stat().st_mode & 0o777 == 0o600
    auths = json.loads(file.read_text())["auths"]
    assert {host: base64.b64decode(each["auth"]).decode() for host, each in auths.items()} == {
        REGISTRY: "AWS:password of ecr get-login-password --region eu-central-1",
        OTHER_REGISTRY: "AWS:password of ecr get-login-password --region us-east-1",
    }


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1"),
        ("123456789012.dkr-ecr-fips.us-west-2.on.aws", "us-west-2"),
        ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
    ],
)
def test_the_script_asks_the_region_of_a_registry_for_its_password(tmp_path: Path, host: str, region: str) -> None:
    ran = run_script(tmp_path, aws='printf "%s" "$4"', REGISTRIES=host)
    assert ran.stderr == ""
    auths = json.loads((tmp_path / "config.json").read_text())["auths"]
    assert base64.b64decode(auths[host]["auth"]).decode() == f"AWS:{region}"


def test_the_script_fails_with_what_aws_says(tmp_path: Path) -> None:
    ran = run_script(tmp_path, aws="echo AccessDenied >&2; exit 254", REGISTRIES=REGISTRY)
    assert (ran.returncode, ran.stderr) == (254, "AccessDenied\n")
    assert not (tmp_path / "config.json").exists()


@pytest.mark.parametrize(
    ("source", "registries", "reason"),
    [
        (f"{OTHER_REGISTRY}/model:1", f"{REGISTRY} {OTHER_REGISTRY}", "of another account"),
        (f"{REGISTRY}/model:1", REGISTRY, "of the same registry: asked once"),
        ("public.ecr.aws/acme/model:1", REGISTRY, "public"),
        (f"{REGISTRY}.example.com/model:1", REGISTRY, "looks like ECR only"),
    ],
)
def test_passwords_are_got_for_registries_of_ecr(source: str, registries: str, reason: str) -> None:
    _, credentials, _ = of(made(BuildTarget(REPOSITORY, Copy(source, SHA), "linux/amd64", TENANT)))
    assert {"name": "REGISTRIES", "value": registries} in credentials["env"], reason


def found(*, status: Mapping[str, Any] | None = None, **metadata: str) -> dict[str, Any]:
    manifest = made(PLAIN)
    manifest["metadata"] |= {"uid": "u-1", "creationTimestamp": CREATED, **metadata}
    return {**manifest, "status": status or {}}


def failed(reason: str = "BackoffLimitExceeded", message: str = "Job has reached the specified backoff limit") -> Any:  # noqa: ANN401 - as the API gives it
    condition = {"type": "Failed", "status": "True", "reason": reason, "message": message, "lastTransitionTime": ENDED}
    return found(status={"conditions": [condition]})


def pod(*, source: object = None, credentials: object = None, build: object = None, **status: object) -> dict[str, Any]:
    containers = {
        "initContainerStatuses": {"source": source, "credentials": credentials},
        "containerStatuses": {"build": build},
    }
    reported = {
        kind: [{"name": name, "image": "i", "state": state} for name, state in states.items() if state]
        for kind, states in containers.items()
    }
    return {"metadata": {"name": "p"}, "status": {**status, **reported}}


def ended(message: str = "", *, code: int = 1, reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


DONE = ended(code=0, reason="Completed")
RUNNING: dict[str, Any] = {"running": {"startedAt": CREATED}}
INITIALIZING = {"waiting": {"reason": "PodInitializing"}}


def reported(build: Build) -> tuple[Result, Step, str]:
    return build.result, build.step, build.message


def test_a_build_is_described_by_its_job() -> None:
    complete = {"type": "Complete", "status": "True", "lastTransitionTime": ENDED}
    build = build_of(found(status={"conditions": [complete]}), None)
    assert build == Build(
        id=f"{job_name('c1', PLAIN.image, 1)}/u-1",
        image=PLAIN.image,
        result=Result.SUCCEEDED,
        step=Step.PUSHING,
        started_at=datetime(2026, 11, 21, 12, 0, tzinfo=UTC),
        ended_at=datetime(2026, 11, 21, 12, 3, tzinfo=UTC),
    )


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: no room"}
NO_IMAGE = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "i"'}}


@pytest.mark.parametrize(
    ("seen", "step", "message"),
    [
        (None, Step.WAITING, ""),
        (pod(), Step.WAITING, ""),
        (pod(conditions=[UNSCHEDULABLE]), Step.WAITING, "0/3 nodes: no room"),
        (pod(credentials={"waiting": {"reason": "ContainerCreating"}}, build=INITIALIZING), Step.WAITING, ""),
        (pod(source=RUNNING, credentials=INITIALIZING, build=INITIALIZING), Step.FETCHING, ""),
        (pod(credentials=RUNNING, build=INITIALIZING), Step.WAITING, ""),
        (
            pod(credentials=NO_IMAGE, build=INITIALIZING),
            Step.WAITING,
            'container credentials (i) is waiting: ImagePullBackOff Back-off pulling image "i"',
        ),
        (
            pod(credentials=DONE, build=NO_IMAGE),
            Step.WAITING,
            'container build (i) is waiting: ImagePullBackOff Back-off pulling image "i"',
        ),
        (pod(credentials=DONE, build=RUNNING), Step.BUILDING, ""),
        (pod(credentials=DONE, build=ended("error: failed to solve: x")), Step.BUILDING, ""),
    ],
)
def test_a_job_that_has_not_ended_is_running(seen: dict[str, Any] | None, step: Step, message: str) -> None:
    build = build_of(found(), seen)
    assert (reported(build), build.ended_at) == ((Result.RUNNING, step, message), None)


TOO_MUCH_DISK = "Pod ephemeral local storage usage exceeds the total limit of containers"
NEEDS_MEMORY = "the build needs more than 4Gi of memory: raise spec.builds.job.memory of the class"


@pytest.mark.parametrize(
    ("job_", "seen", "expected"),
    [
        (failed("DeadlineExceeded"), None, (Result.TIMED_OUT, Step.BUILDING, "the build took longer than 1800 s")),
        (failed("DeadlineExceeded"), pod(), (Result.TIMED_OUT, Step.WAITING, "the build took longer than 1800 s")),
        (failed(), None, (Result.FAULT, Step.WAITING, "the Pod is gone")),
        (
            failed(),
            pod(source=ended("the commit cannot be built: no", code=REFUSED), credentials=INITIALIZING),
            (Result.FAILED, Step.CHECKING, "the commit cannot be built: no"),
        ),
        (
            failed(),
            pod(source=ended("fatal: remote error", code=128), credentials=INITIALIZING),
            (Result.FAILED, Step.FETCHING, "fatal: remote error"),
        ),
        (
            failed(),
            pod(source=ended("no such file", code=128, reason="StartError")),
            (Result.FAULT, Step.WAITING, "BuildKit's image did not start: no such file"),
        ),
        (
            failed(),
            pod(source=ended(code=137, reason="OOMKilled")),
            (Result.FAILED, Step.FETCHING, NEEDS_MEMORY),
        ),
        (
            failed(),
            pod(credentials=ended("AccessDenied: no", code=254), build=INITIALIZING),
            (Result.FAILED, Step.WAITING, "the builder got no password for ECR (exit code 254): AccessDenied: no"),
        ),
        (
            failed(),
            pod(credentials=ended(code=137, reason="OOMKilled")),
            (Result.FAILED, Step.WAITING, f"the builder got no password for ECR (exit code 137): {NEEDS_MEMORY}"),
        ),
        (
            failed(),
            pod(credentials=DONE, build=ended("#9 killed", code=137, reason="OOMKilled")),
            (Result.FAILED, Step.BUILDING, NEEDS_MEMORY),
        ),
        (
            failed(),
            pod(credentials=DONE, build=ended("no such file", code=128, reason="StartError")),
            (Result.FAULT, Step.WAITING, "BuildKit did not start (StartError): no such file"),
        ),
        (
            failed(),
            pod(credentials=DONE, build=ended("could not connect to unix:///run/user/1000 after 70 trials")),
            (
                Result.FAULT,
                Step.BUILDING,
                "BuildKit failed (exit code 1): could not connect to unix:///run/user/1000 after 70 trials",
            ),
        ),
        (
            failed(),
            pod(credentials=DONE, build=ended(code=137)),
            (Result.FAULT, Step.BUILDING, "BuildKit failed (exit code 137):"),
        ),
        (
            failed(),
            pod(
                reason="Evicted",
                message="The node was low on resource: memory.",
                credentials=DONE,
                build=ended(code=137),
            ),
            (Result.FAULT, Step.BUILDING, "Kubernetes ended the Pod (Evicted): The node was low on resource: memory."),
        ),
        (
            failed(),
            pod(reason="Evicted", message=TOO_MUCH_DISK),
            (
                Result.FAILED,
                Step.BUILDING,
                f"the build needs more than the 20Gi of disk that it has: {TOO_MUCH_DISK}",
            ),
        ),
        (
            failed(),
            pod(
                conditions=[
                    {
                        "type": "DisruptionTarget",
                        "status": "True",
                        "reason": "DeletionByTaintManager",
                        "message": "Taint manager: deleting due to NoExecute taint",
                    }
                ],
                credentials=DONE,
                build=RUNNING,
            ),
            (
                Result.FAULT,
                Step.BUILDING,
                "Kubernetes ended the Pod (DeletionByTaintManager): Taint manager: deleting due to NoExecute taint",
            ),
        ),
        (
            failed(),
            pod(message="something new"),
            (Result.FAULT, Step.WAITING, "the Pod failed: something new"),
        ),
    ],
)
def test_a_failure_is_attributed_to_its_cause(
    job_: dict[str, Any], seen: dict[str, Any] | None, expected: tuple[Result, Step, str]
) -> None:
    build = build_of(job_, seen)
    assert reported(build) == expected
    assert build.ended_at == datetime(2026, 11, 21, 12, 3, tzinfo=UTC)


NO_COMMIT = f"fatal: remote error: upload-pack: not our ref {SHA}: exit status 128"
GIT = f"failed to fetch remote {LOCATION}: git stderr:\n{NO_COMMIT}"
EXITED = "did not complete successfully: exit code: 2"
SOLVE = "error: failed to solve: "


@pytest.mark.parametrize(
    ("said", "step", "reason"),
    [
        (f"failed to load cache key: {GIT}", Step.FETCHING, "over two lines"),
        (
            f"failed to read dockerfile: failed to load cache key: {GIT}",
            Step.FETCHING,
            "where the Dockerfile is sought",
        ),
        (f"rpc error: code = Unknown desc = {GIT}", Step.FETCHING, "of an older client"),
        ('repository does not contain ref x, output: ""', Step.FETCHING, "no such branch"),
        ("fatal: couldn't find remote ref x", Step.FETCHING, "said by git"),
        ("failed to read dockerfile: open Dockerfile: no such file or directory", Step.BUILDING, "the commit is there"),
        ("failed to push x: 403 Forbidden", Step.BUILDING, "no build pushes: feigned by a frontend"),
        ("docker.io/library/x:1: not found", Step.BUILDING, "the Dockerfile's own doing"),
        (f'process "/bin/sh -c make" {EXITED}', Step.BUILDING, "a command"),
        (f'process "git stderr:" {EXITED}', Step.BUILDING, "likewise"),
        (f'{GIT}\n{SOLVE}process "a" {EXITED}', Step.BUILDING, "feigned by what it prints"),
        (f"{GIT}\n{SOLVE}dockerfile parse error", Step.BUILDING, "feigned before the end"),
    ],
)
def test_the_progress_of_a_build_follows_from_buildkits_last_line(said: str, step: Step, reason: str) -> None:
    build = build_of(failed(), pod(credentials=DONE, build=ended(f"#1 [internal] load\n{SOLVE}{said}\n")))
    assert (build.result, build.step) == (Result.FAILED, step), reason


def test_what_is_too_long_to_be_kept_from_its_beginning_is_the_commits_failure() -> None:
    build = build_of(failed(), pod(build=ended(f'and so on" {EXITED}')))
    assert (build.result, build.step) == (Result.FAILED, Step.BUILDING)


def test_the_message_is_what_buildkit_says_without_its_log() -> None:
    said = "#5 0.3 make\n------\n > [2/2] RUN make:\n------\nerror: failed to solve: failed to load cache key: a\n  b\n"
    assert build_of(failed(), pod(build=ended(said))).message == "failed to load cache key: a b"


def test_a_process_that_was_killed_comes_with_advice() -> None:
    said = 'error: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 137'
    assert build_of(failed(), pod(build=ended(said))).message.endswith(
        f"exit code: 137 (the process was killed; if it ran out of memory: {NEEDS_MEMORY})"
    )


@given(st.text())
def test_the_last_message_is_limited_to_a_thousand_characters(said: str) -> None:
    for seen in (pod(build=ended(said)), pod(credentials=ended(said)), pod(reason=said, message=said)):
        build = build_of(failed(), seen)
        assert not build.is_running
        assert len(build.message) <= 1000


@given(printable)
def test_a_commit_cannot_have_its_own_failure_tried_again(command: str) -> None:
    quoted = json.dumps(f"/bin/sh -c {command}")
    said = f"#7 0.1 {command}\nerror: failed to solve: process {quoted} did not complete successfully: exit code: 1"
    assert not build_of(failed(), pod(build=ended(said))).can_be_helped


def test_a_job_that_is_being_deleted_has_stopped() -> None:
    expected = (Result.STOPPED, Step.BUILDING, "the Job was deleted")
    running = build_of(found(deletionTimestamp=DELETED), pod(build=RUNNING))
    assert (reported(running), running.ended_at) == (expected, datetime(2026, 11, 21, 12, 2, tzinfo=UTC))
    since = failed()
    since["metadata"]["deletionTimestamp"] = DELETED
    assert reported(build_of(since, pod(build=ended(code=137)))) == expected, "its Pod's end made it fail"


def test_a_job_that_ended_before_it_was_deleted_keeps_its_result() -> None:
    before = failed()
    before["metadata"]["deletionTimestamp"] = "2026-11-21T13:03:00Z"
    assert build_of(before, pod(build=ended("error: failed to solve: x"))).result is Result.FAILED


@pytest.mark.parametrize(
    ("seen", "expected", "reason"),
    [
        (pod(source=ended("a\nb")), ("a", "b"), "the commit was refused"),
        (pod(source=DONE, credentials=ended("a\nb")), ("a", "b"), "the first container with a role failed"),
        (pod(credentials=DONE, build=ended("c\nd\n")), ("c", "d"), "the build failed"),
        (pod(credentials=DONE, build=DONE), (), "nothing failed"),
        (pod(), (), "nothing has begun"),
        (pod(build=ended()), (), "failed without a word"),
    ],
)
def test_the_last_lines_are_those_of_what_failed(seen: dict[str, Any], expected: tuple[str, ...], reason: str) -> None:
    assert told_lines(seen) == expected, reason


FATAL = 'time="2026-11-21T12:03:00Z" level=fatal msg="initializing source docker://quay.io/a:1: \\"x\\" is unknown"'


@pytest.mark.parametrize(
    ("state", "expected", "reason"),
    [
        (
            ended(f"Getting image source\n{FATAL}"),
            (Result.FAILED, Step.PUSHING, 'initializing source docker://quay.io/a:1: "x" is unknown'),
            "its last words",
        ),
        (ended(""), (Result.FAILED, Step.PUSHING, "skopeo failed (exit code 1)"), "it says nothing"),
        (ended("", code=137, reason="OOMKilled"), (Result.FAILED, Step.PUSHING, NEEDS_MEMORY), "the kernel ended it"),
        (
            ended("no such file", code=128, reason="StartError"),
            (Result.FAULT, Step.WAITING, "skopeo did not start (StartError): no such file"),
            "not its image",
        ),
    ],
)
def test_a_copy_that_failed_is_tried_again_since_it_runs_nothing(
    state: dict[str, Any], expected: tuple[Result, Step, str], reason: str
) -> None:
    seen = {
        **pod(),
        "status": {"initContainerStatuses": [], "containerStatuses": [{"name": "push", "image": "i", "state": state}]},
    }
    build = build_of(failed(), seen)
    assert reported(build) == expected, reason
    assert build.can_be_helped
    assert speaking_container(seen) == "push"


@pytest.mark.parametrize(
    ("message", "digest"), [(f"sha256:{'a' * 64}", f"sha256:{'a' * 64}"), ("", None), ("sha256:a", None)]
)
def test_a_build_tells_the_digest_that_it_has_pushed(message: str, digest: str | None) -> None:
    complete = {"type": "Complete", "status": "True", "lastTransitionTime": ENDED}
    state = {"terminated": {"exitCode": 0, "reason": "Completed", "message": message}}
    seen = {**pod(), "status": {"containerStatuses": [{"name": "push", "image": "i", "state": state}]}}
    assert build_of(found(status={"conditions": [complete]}), seen).digest == digest
    assert build_of(failed(), seen).digest is None, "what failed has pushed nothing that counts"


def test_the_log_to_read_is_that_of_the_container_that_came_last() -> None:
    assert speaking_container(pod(credentials=RUNNING, build=INITIALIZING)) == "credentials"
    assert speaking_container(pod(credentials=DONE, build=RUNNING)) == "build"
