import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ephemeral_endpoints.core.builds import Commit, Copy, Order
from ephemeral_endpoints.core.buildspec import buildspec, variables

REGION = "us-east-1"
REGISTRY = f"{'0' * 12}.dkr.ecr.us-east-1.amazonaws.com"
REPOSITORY = f"{REGISTRY}/previews"
REVISION = "a" * 40
COMMIT = Commit("https://github.com/acme/sentiment.git", REVISION)
LOGIN = [
    ["aws", "ecr", "get-login-password", "--region", REGION],
    ["docker", "login", "--username", "AWS", "--password-stdin", REGISTRY],
]
BUILDER = ["docker", "buildx", "create", "--use", "--driver", "docker-container"]
# One that prints what it was called with, in a place where nothing else can write.
STUB = f"""#!{sys.executable} -I
import json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + chr(10))
"""


class Shell:
    """The shell of a build, in which the programs only tell what they were called with."""

    def __init__(self, folder: Path) -> None:
        self._programs = folder / "programs"
        self._work = folder / "work"
        self._calls = folder / "calls"
        for each in (self._programs, self._work):
            each.mkdir()
        for name in ("aws", "docker"):
            program = self._programs / name
            program.write_text(STUB, encoding="utf-8")
            program.chmod(0o700)

    def called(self, order: Order, phase: str) -> list[list[str]]:
        """The programs that the commands of a phase call; those of a pipe in the order of their names."""
        self._calls.write_text("", encoding="utf-8")
        environment = {"PATH": f"{self._programs}{os.pathsep}{os.defpath}", "CALLS": str(self._calls)}
        for command in commands(order, phase):
            done = subprocess.run(  # noqa: S603 - the command is what is tested
                ["/bin/sh", "-c", command],
                env=environment,
                cwd=self._work,
                capture_output=True,
                check=False,
            )
            assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), command
        assert list(self._work.iterdir()) == [], "nothing was written"
        return [json.loads(line) for line in self._calls.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("shell"))


def specification(order: Order) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(buildspec(order, region=REGION))
    return document


def commands(order: Order, phase: str) -> list[str]:
    told: list[str] = specification(order)["phases"][phase]["commands"]
    return told


def of(commit: Commit) -> Order:
    return Order(REPOSITORY, commit, "linux/amd64")


def options(words: list[str], name: str) -> list[str]:
    """What follows an option wherever it is given."""
    return [value for option, value in pairwise(words) if option == name]


def test_a_commit_is_built_first_and_then_pushed(shell: Shell) -> None:
    order = of(
        Commit(
            COMMIT.location,
            REVISION,
            context="model",
            dockerfile="docker/Dockerfile",
            target="runtime",
            arguments=(("A", "b c"), ("EMPTY", "")),
            secrets=(("pip-token", "builds/pip"), ("npm", "builds/npm")),
        )
    )
    same = [
        *("docker", "buildx", "build", "--progress", "plain", "--platform", "linux/amd64"),
        *("--file", "./model/docker/Dockerfile", "--target", "runtime"),
        *("--build-arg", f"MODEL_REVISION={REVISION}", "--build-arg", "A=b c", "--build-arg", "EMPTY="),
        *("--secret", "id=pip-token,env=EEP_SECRET_0", "--secret", "id=npm,env=EEP_SECRET_1"),
        *("--provenance", "false", "--sbom", "false", "--cache-from", f"type=registry,ref={order.cache}"),
    ]
    cache = f"type=registry,ref={order.cache},mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true"
    pushed = "type=image,push=true,rewrite-timestamp=true"
    assert shell.called(order, "build") == [[*same, "--output", "type=cacheonly", "./model"]]
    assert shell.called(order, "post_build") == [
        [*same, "--cache-to", cache, "--tag", order.image, "--output", pushed, "./model"]
    ]


def test_before_a_commit_is_built_the_repository_is_logged_in_to_and_a_builder_made(shell: Shell) -> None:
    *logins, builder = shell.called(of(COMMIT), "pre_build")
    assert sorted(logins) == LOGIN
    assert builder == BUILDER


def test_the_root_of_the_repository_is_the_context_unless_the_commit_says_otherwise(shell: Shell) -> None:
    [called] = shell.called(of(COMMIT), "build")
    assert (options(called, "--file"), called[-1]) == (["./Dockerfile"], ".")
    assert "--target" not in called
    assert "--secret" not in called


def test_a_folder_that_reads_like_an_address_is_a_folder(shell: Shell) -> None:
    # https://docs.docker.com/build/concepts/context/#remote-context
    [called] = shell.called(of(Commit(COMMIT.location, REVISION, context="github.com/mallory/model")), "build")
    assert called[-1] == "./github.com/mallory/model"


@pytest.mark.parametrize(
    ("source", "registry", "region", "reason"),
    [
        ("docker.io/library/nginx:1.27", None, None, "everybody may read it"),
        ("public.ecr.aws/acme/model:1.2", None, None, "this too, although it is ECR's"),
        (f"{REGISTRY}/models:1", None, None, "the registry that it goes to"),
        (
            f"{'1' * 12}.dkr.ecr.eu-west-1.amazonaws.com/a/b@sha256:{'0' * 64}",
            f"{'1' * 12}.dkr.ecr.eu-west-1.amazonaws.com",
            "eu-west-1",
            "another account and region",
        ),
        (
            f"{'1' * 12}.dkr.ecr.cn-north-1.amazonaws.com.cn/a:1",
            f"{'1' * 12}.dkr.ecr.cn-north-1.amazonaws.com.cn",
            "cn-north-1",
            "a region with a domain of its own",
        ),
        (f"{'1' * 12}.dkr.ecr.us-east-1.amazonaws.com.evil.example/a:1", None, None, "it only begins like ECR's"),
    ],
)
def test_an_image_is_copied_as_it_is_with_a_login_where_it_needs_one(
    shell: Shell, source: str, registry: str | None, region: str | None, reason: str
) -> None:
    order = Order(REPOSITORY, Copy(source, REVISION), "linux/amd64")
    assert set(specification(order)["phases"]) == {"pre_build", "post_build"}
    second = [
        ["aws", "ecr", "get-login-password", "--region", region],
        ["docker", "login", "--username", "AWS", "--password-stdin", registry],
    ]
    expected = LOGIN + (second if registry else [])
    assert sorted(shell.called(order, "pre_build")) == sorted(expected), reason
    create = ["docker", "buildx", "imagetools", "create", "--prefer-index=false", "--tag", order.image, source]
    assert shell.called(order, "post_build") == [create], reason


@pytest.mark.parametrize("origin", [COMMIT, Copy("docker.io/library/nginx:1.27", REVISION)])
def test_a_phase_that_fails_is_the_last_and_all_is_yaml_too(origin: Commit | Copy) -> None:
    order = Order(REPOSITORY, origin, "linux/arm64")
    told = specification(order)
    assert yaml.safe_load(buildspec(order, region=REGION)) == told
    assert (told["version"], told["env"]) == (0.2, {"variables": {"SOURCE_DATE_EPOCH": "0"}})
    assert {phase["on-failure"] for phase in told["phases"].values()} == {"ABORT"}


def test_a_build_carries_its_image_and_its_secrets_as_references() -> None:
    order = of(Commit(COMMIT.location, REVISION, secrets=(("pip-token", "builds/pip"), ("npm", "builds/npm"))))
    assert variables(order, "owner") == [
        {"name": "EEP_IMAGE", "value": order.image, "type": "PLAINTEXT"},
        {"name": "EEP_OWNER", "value": "owner", "type": "PLAINTEXT"},
        {"name": "EEP_SECRET_0", "value": "builds/pip", "type": "SECRETS_MANAGER"},
        {"name": "EEP_SECRET_1", "value": "builds/npm", "type": "SECRETS_MANAGER"},
    ]
    copied = Order(REPOSITORY, Copy("docker.io/library/nginx:1.27", REVISION), "linux/amd64")
    assert variables(copied, "owner") == [
        {"name": "EEP_IMAGE", "value": copied.image, "type": "PLAINTEXT"},
        {"name": "EEP_OWNER", "value": "owner", "type": "PLAINTEXT"},
    ]


# What a process can be called with at all: no zero byte, and nothing that UTF-8 does not have.
HOSTILE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20) | (
    st.sampled_from(
        ["$(touch x)", "`touch x`", "'; touch x; '", '"; touch x; "', "a\ntouch x\n", "a\\", "~", "*", "|", "&", "#"]
    )
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    commit=st.builds(
        Commit,
        HOSTILE,
        HOSTILE,
        HOSTILE,
        HOSTILE.filter(lambda path: not path.startswith("/")),
        HOSTILE,
        st.lists(st.tuples(HOSTILE, HOSTILE), max_size=3).map(tuple),
        st.lists(st.tuples(HOSTILE, HOSTILE), max_size=3).map(tuple),
    ),
    repository=HOSTILE,
    platform=HOSTILE,
)
def test_whatever_an_order_says_arrives_as_the_words_that_it_is(
    shell: Shell, commit: Commit, repository: str, platform: str
) -> None:
    order = Order(repository, commit, platform)
    context = commit.context if commit.context == "." else f"./{commit.context}"
    for phase in ("build", "post_build"):
        [called] = shell.called(order, phase)
        assert called[:5] == ["docker", "buildx", "build", "--progress", "plain"]
        assert called[5:7] == ["--platform", platform]
        assert called[8].endswith(commit.dockerfile)
        assert called[9:11] == ["--target", commit.target]
        arguments = [f"MODEL_REVISION={commit.revision}", *(f"{name}={value}" for name, value in commit.arguments)]
        words = [word for argument in arguments for word in ("--build-arg", argument)]
        words += [
            word
            for number, (id_, _) in enumerate(commit.secrets)
            for word in ("--secret", f"id={id_},env=EEP_SECRET_{number}")
        ]
        assert called[11 : 11 + len(words)] == words
        assert called[-1] == context
    assert order.image in called
    assert len(shell.called(order, "pre_build")) == 3


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(image=HOSTILE, repository=HOSTILE)
def test_whatever_is_to_be_copied_arrives_as_the_word_that_it_is(shell: Shell, image: str, repository: str) -> None:
    order = Order(repository, Copy(image, REVISION), "linux/amd64")
    [called] = shell.called(order, "post_build")
    assert called[-3:] == ["--tag", order.image, image]
    assert len(shell.called(order, "pre_build")) == 2
