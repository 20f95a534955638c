import json
import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ephemeral_endpoints.api.v1alpha1.builder_images import BUILDKIT, SKOPEO
from ephemeral_endpoints.features.images.builds.buildspec import Tools, buildspec, variables
from ephemeral_endpoints.features.images.builds.policy import BuildTarget, Commit, Copy, Tenant
from ephemeral_endpoints.features.images.builds.source_check import REFUSED, check_arguments

REGION = "us-east-1"
REGISTRY = f"{'0' * 12}.dkr.ecr.us-east-1.amazonaws.com"
REPOSITORY = f"{REGISTRY}/previews"
REVISION = "a" * 40
TENANT = Tenant("uid-of-the-class", "previews")
COMMIT = Commit("https://github.com/acme/sentiment.git", REVISION)
LOGIN = [
    ["aws", "ecr", "get-login-password", "--region", REGION],
    ["docker", "login", "--username", "AWS", "--password-stdin", REGISTRY],
]
BUILDER = [
    *("docker", "buildx", "create", "--use", "--driver", "docker-container"),
    *("--driver-opt", f"image={BUILDKIT}"),
]
# One that tells what it was called with.
STUB = f"""#!{sys.executable} -IS
import json, os, sys
words = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(words) + chr(10))
"""


class Shell:
    """The shell of a build, in which programs only print their arguments."""

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

    def called(self, target: BuildTarget, phase: str) -> list[list[str]]:
        """The programs that the commands of a phase call; those of a pipe in the order of their names."""
        self._calls.write_text("", encoding="utf-8")
        path = f"{self._programs}{os.pathsep}{os.defpath}"
        environment = {"PATH": path, "CALLS": str(self._calls), "HOME": "/home of it", "EEP_WORK": "/build"}
        for command in commands(target, phase):
            if command.startswith("export "):
                continue
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


def specification(target: BuildTarget) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(buildspec(target, Tools(REGION)))
    return document


def commands(target: BuildTarget, phase: str) -> list[str]:
    reported: list[str] = specification(target)["phases"][phase]["commands"]
    return reported


def of(commit: Commit) -> BuildTarget:
    return BuildTarget(REPOSITORY, commit, "linux/amd64", TENANT)


def options(words: list[str], name: str) -> list[str]:
    """What follows an option wherever it is given."""
    return [value for option, value in pairwise(words) if option == name]


def test_a_commit_is_built_first_and_then_pushed(shell: Shell) -> None:
    target = of(
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
        *("--provenance", "false", "--sbom", "false"),
        *("--cache-from", "type=local,src=/build/cache-0", "--cache-from", "type=local,src=/build/cache-1"),
    ]
    cache = "type=local,dest=/build/cache,mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true"
    output = "type=oci,dest=/build/image.tar,rewrite-timestamp=true"
    assert shell.called(target, "build") == [[*same, "--cache-to", cache, "--output", output, "./model"]]
    login = [each for each in shell.called(target, "post_build") if each[1] in {"ecr", "login"}]
    assert sorted(login) == LOGIN
    assert [each for each in shell.called(target, "post_build") if each[1] == "run"] == [
        in_skopeo(
            "--format",
            "v2s2",
            "--digestfile",
            "/run/eep/build/digest",
            "oci-archive:/run/eep/build/image.tar",
            f"docker://{target.image}",
        ),
        in_skopeo("--preserve-digests", "oci:/run/eep/build/cache:latest", f"docker://{target.cache}"),
    ]


def test_nobody_is_logged_in_while_a_commit_is_built(shell: Shell) -> None:
    *before, logout, builder = shell.called(of(COMMIT), "pre_build")
    assert (logout, builder) == (["docker", "logout", REGISTRY], BUILDER)
    [build] = shell.called(of(COMMIT), "build")
    assert not any(REGISTRY in word or "push" in word for word in build)
    assert [each[-2:] for each in before[2:]] == [
        [f"docker://{cache}", f"oci:/run/eep/build/cache-{number}:latest"]
        for number, cache in enumerate(of(COMMIT).caches)
    ]
    assert sorted(before[:2]) == LOGIN


def in_skopeo(*words: str) -> list[str]:
    return [
        *("docker", "run", "--rm", "--volume", "/home of it/.docker/config.json:/run/eep/config.json:ro"),
        *("--volume", "/build:/run/eep/build", "--entrypoint", "skopeo", SKOPEO),
        *("copy", "--authfile", "/run/eep/config.json", *words),
    ]


def test_a_commit_is_checked_before_anything_else_happens(shell: Shell, tmp_path: Path) -> None:
    target = of(Commit(COMMIT.location, REVISION, context="a b", dockerfile="$(x)/D'", frontends=("acme/*", "x")))
    phases = specification(target)["phases"]
    assert list(phases) == ["install", "pre_build", "build", "post_build"]
    assert shell.called(target, "pre_build")
    [check] = phases["install"]["commands"]
    assert "\n" not in check, "CodeBuild logs commands as they are, and lines of the log are shown to authors"
    for folder, version, reported in (
        (tmp_path / "nothing", REVISION, "it has no file a b/$(x)/D'"),
        (tmp_path / "moved", "b" * 40, "is not the SHA of a commit"),
    ):
        folder.mkdir()
        environment = {"PATH": os.environ["PATH"], "CODEBUILD_RESOLVED_SOURCE_VERSION": version}
        done = subprocess.run(  # noqa: S603 - the command is what is tested
            ["/bin/sh", "-c", check], env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (REFUSED, "")
        assert reported in done.stderr


def test_the_class_names_the_images_that_build_and_push() -> None:
    tools = Tools(REGION, f"mirror.example/buildkit:v1@sha256:{'a' * 64}", f"mirror.example/skopeo@sha256:{'b' * 64}")
    for origin in (COMMIT, Copy("docker.io/library/nginx:1.27", REVISION)):
        said = buildspec(BuildTarget(REPOSITORY, origin, "linux/amd64", TENANT), tools)
        assert SKOPEO not in said
        assert BUILDKIT not in said
        assert f"--entrypoint skopeo {tools.skopeo} " in said
    assert f"--driver-opt image={tools.buildkit}" in buildspec(of(COMMIT), tools)


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
        (
            f"{'1' * 12}.dkr-ecr.eu-west-1.on.aws/a:1",
            f"{'1' * 12}.dkr-ecr.eu-west-1.on.aws",
            "eu-west-1",
            "a registry by its name with IPv6",
        ),
        (f"{'1' * 12}.dkr.ecr.us-east-1.amazonaws.com.evil.example/a:1", None, None, "it only begins like ECR's"),
    ],
)
def test_an_image_is_copied_with_a_login_where_it_needs_one_and_nothing_of_it_is_run(
    shell: Shell, source: str, registry: str | None, region: str | None, reason: str
) -> None:
    target = BuildTarget(REPOSITORY, Copy(source, REVISION), "linux/amd64", TENANT)
    assert set(specification(target)["phases"]) == {"pre_build", "post_build"}
    second = [
        ["aws", "ecr", "get-login-password", "--region", str(region)],
        ["docker", "login", "--username", "AWS", "--password-stdin", str(registry)],
    ]
    expected = [*LOGIN, *(second if registry else [])]
    assert sorted(shell.called(target, "pre_build")) == sorted(expected), reason
    # No build FROM the image, whose ONBUILD instructions would run where the logins are.
    assert shell.called(target, "post_build") == [copied(source, target)], reason


def copied(source: str, target: BuildTarget) -> list[str]:
    return [
        *("docker", "run", "--rm", "--volume", "/home of it/.docker/config.json:/run/eep/config.json:ro"),
        *(
            "--volume",
            "/build:/run/eep/build",
            "--entrypoint",
            "skopeo",
            SKOPEO,
            "--override-os",
            "linux",
            "--override-arch",
            "amd64",
        ),
        *("copy", "--authfile", "/run/eep/config.json", "--format", "v2s2", "--digestfile", "/run/eep/build/digest"),
        *(f"docker://{source}", f"docker://{target.image}"),
    ]


def test_of_a_tag_and_a_digest_the_digest_decides(shell: Shell) -> None:
    # skopeo refuses both (https://github.com/containers/image/blob/main/docker/docker_transport.go).
    digest = f"sha256:{'0' * 64}"
    target = BuildTarget(REPOSITORY, Copy(f"localhost:5000/a/b:1.2@{digest}", REVISION), "linux/amd64", TENANT)
    assert shell.called(target, "post_build") == [copied(f"localhost:5000/a/b@{digest}", target)]


@pytest.mark.parametrize("origin", [COMMIT, Copy("docker.io/library/nginx:1.27", REVISION)])
def test_a_phase_that_fails_is_the_last_and_all_is_yaml_too(origin: Commit | Copy) -> None:
    target = BuildTarget(REPOSITORY, origin, "linux/arm64", TENANT)
    reported = specification(target)
    assert yaml.safe_load(buildspec(target, Tools(REGION))) == reported
    env = {"variables": {"SOURCE_DATE_EPOCH": "0"}, "exported-variables": ["EEP_DIGEST"]}
    assert (reported["version"], reported["env"]) == (0.2, env)
    assert {phase["on-failure"] for phase in reported["phases"].values()} == {"ABORT"}


def test_a_build_carries_its_image_and_its_secrets_as_references() -> None:
    target = of(Commit(COMMIT.location, REVISION, secrets=(("pip-token", "builds/pip"), ("npm", "builds/npm"))))
    assert variables(target, "owner") == [
        {"name": "EEP_IMAGE", "value": target.image, "type": "PLAINTEXT"},
        {"name": "EEP_OWNER", "value": "owner", "type": "PLAINTEXT"},
        {"name": "EEP_SECRET_0", "value": "builds/pip", "type": "SECRETS_MANAGER"},
        {"name": "EEP_SECRET_1", "value": "builds/npm", "type": "SECRETS_MANAGER"},
    ]
    copy = BuildTarget(REPOSITORY, Copy("docker.io/library/nginx:1.27", REVISION), "linux/amd64", TENANT)
    assert variables(copy, "owner") == [
        {"name": "EEP_IMAGE", "value": copy.image, "type": "PLAINTEXT"},
        {"name": "EEP_OWNER", "value": "owner", "type": "PLAINTEXT"},
    ]


# What a process can be called with at all: no zero byte, and nothing that UTF-8 does not have.
HOSTILE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20) | (
    st.sampled_from(
        ["$(touch x)", "`touch x`", "'; touch x; '", '"; touch x; "', "a\ntouch x\n", "a\\", "~", "*", "|", "&", "#"]
    )
)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    target = BuildTarget(repository, commit, platform, TENANT)
    context = commit.context if commit.context == "." else f"./{commit.context}"
    [called] = shell.called(target, "build")
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
    assert [f"docker://{target.image}" in each for each in shell.called(target, "post_build")].count(True) == 1
    assert len(shell.called(target, "pre_build")) == 4 + len(target.caches)
    [check] = commands(target, "install")
    assert shlex.split(check)[-len(check_arguments(commit)) :] == check_arguments(commit)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(image=HOSTILE, repository=HOSTILE)
def test_whatever_is_to_be_copied_arrives_as_the_word_that_it_is(shell: Shell, image: str, repository: str) -> None:
    target = BuildTarget(repository, Copy(image, REVISION), "linux/amd64", TENANT)
    [called] = shell.called(target, "post_build")
    assert called[-1] == f"docker://{target.image}"
    assert called[-2] == f"docker://{re.sub(':[^:/@]+(?=@)', '', image)}"
    assert len(called) == len(copied(image, target))
    assert len(shell.called(target, "pre_build")) == 2
