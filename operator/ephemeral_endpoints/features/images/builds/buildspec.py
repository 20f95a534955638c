"""The commands with which AWS CodeBuild builds an image.

Words that come from an order are quoted for the shell of CodeBuild (Build specification reference for CodeBuild,
https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html). Steps that can fail for different reasons
are different phases, since CodeBuild reports which phase failed.
"""

import json
import posixpath
import shlex
from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.api.v1alpha1.builder_images import BUILDKIT, SKOPEO
from ephemeral_endpoints.api.v1alpha1.ecr import Registry
from ephemeral_endpoints.features.images.builds.policy import (
    KEPT_CACHE,
    REVISION_ARGUMENT,
    BuildTarget,
    Commit,
    Copy,
)
from ephemeral_endpoints.features.images.builds.skopeo import copying, fetching_cache, pushing, pushing_cache
from ephemeral_endpoints.features.images.builds.source_check import CHECK, check_arguments

IMAGE_VARIABLE: Final = "EEP_IMAGE"
"""The environment variable of a build that names its image."""

OWNER_VARIABLE: Final = "EEP_OWNER"
"""The environment variable of a build that names the class that started it."""

DIGEST_VARIABLE: Final = "EEP_DIGEST"
"""The environment variable that a build exports: the digest of the image that it has pushed."""

_SECRET_VARIABLE: Final = "EEP_SECRET_"  # noqa: S105 - the name of a variable, without its value
_PASSWORDS: Final = "/run/eep/config.json"
"""Where skopeo finds the logins, in its own container."""

_WORK: Final = "/run/eep/build"
"""Where skopeo finds the files that a build leaves, in its own container."""

_DIGEST_FILE: Final = f"{_WORK}/digest"

_WORK_VARIABLE: Final = "EEP_WORK"
_MAKE_WORK: Final = f'export {_WORK_VARIABLE}="$(mktemp -d)"'
"""A folder outside of the source: commits must not bring what is to be pushed. Later commands see the variable.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html#build-spec-ref-versions
"""

_TELL_DIGEST: Final = f'export {DIGEST_VARIABLE}="$(cat "${_WORK_VARIABLE}/digest")"'
"""BatchGetBuilds then has it: https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ExportedEnvironmentVariable.html."""

_NO_ATTESTATIONS: Final = ("--provenance", "false", "--sbom", "false")
"""buildx adds a provenance attestation by default, and with it an index around the image."""

# Not documented for all of CodeBuild's sources: https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html
_CHECKED_OUT: Final = '"${CODEBUILD_RESOLVED_SOURCE_VERSION:-$(git --git-dir=.git rev-parse HEAD)}"'
"""The SHA of the commit that CodeBuild has checked out."""


@dataclass(frozen=True, slots=True)
class Tools:
    """The region of the project, and the images that build and push."""

    region: str
    buildkit: str = BUILDKIT
    skopeo: str = SKOPEO


def buildspec(target: BuildTarget, tools: Tools) -> str:
    """The buildspec, as JSON (which YAML contains).

    The same commit gives the same digest, since all times are those of ``SOURCE_DATE_EPOCH``.
    """
    origin = target.origin
    phases = _copying(target, origin, tools) if isinstance(origin, Copy) else _building(target, origin, tools)
    described = {name: {"on-failure": "ABORT", "commands": commands} for name, commands in phases.items()}
    env = {"variables": {"SOURCE_DATE_EPOCH": "0"}, "exported-variables": [DIGEST_VARIABLE]}
    return json.dumps({"version": 0.2, "env": env, "phases": described})


def variables(target: BuildTarget, owner: str) -> list[dict[str, str]]:
    """The environment variables of the build, as StartBuild takes them. ``owner`` identifies the class."""
    secrets = target.origin.secrets if isinstance(target.origin, Commit) else ()
    return [
        {"name": IMAGE_VARIABLE, "value": target.image, "type": "PLAINTEXT"},
        {"name": OWNER_VARIABLE, "value": owner, "type": "PLAINTEXT"},
        *(
            {"name": f"{_SECRET_VARIABLE}{number}", "value": secret, "type": "SECRETS_MANAGER"}
            for number, (_, secret) in enumerate(secrets)
        ),
    ]


def _building(target: BuildTarget, commit: Commit, tools: Tools) -> dict[str, list[str]]:
    """There is no login while the commit is built: what it leaves in files is pushed afterwards."""
    context = _local(commit.context)
    login, image, cache = _login(_registry(target.repository), tools.region), target.image, str(target.cache)
    fetched = [
        f"{_skopeo(tools, fetching_cache(each, f'{_WORK}/cache-{number}', passwords=_PASSWORDS))} || true"
        for number, each in enumerate(target.caches)
    ]
    files = [
        *(f'--cache-from "type=local,src=${_WORK_VARIABLE}/cache-{number}"' for number, _ in enumerate(target.caches)),
        f'--cache-to "type=local,dest=${_WORK_VARIABLE}/cache,{KEPT_CACHE}"',
        f'--output "type=oci,dest=${_WORK_VARIABLE}/image.tar,rewrite-timestamp=true"',
    ]
    logout = shlex.join(["docker", "logout", _registry(target.repository)])
    return {
        "install": [_check(commit)],
        "pre_build": [_MAKE_WORK, login, *fetched, logout, _builder(tools.buildkit)],
        "build": [" ".join([shlex.join(_build_words(target, commit, context)), *files, shlex.quote(context)])],
        "post_build": [
            login,
            _skopeo(tools, pushing(f"{_WORK}/image.tar", image, passwords=_PASSWORDS, digest_file=_DIGEST_FILE)),
            _TELL_DIGEST,
            f"{_skopeo(tools, pushing_cache(f'{_WORK}/cache', cache, passwords=_PASSWORDS))} || true",
        ],
    }


def _check(commit: Commit) -> str:
    script, arguments = shlex.join(["sh", "-c", CHECK, "check"]), shlex.join(check_arguments(commit))
    return f"{script} {_CHECKED_OUT} {arguments}"


def _build_words(target: BuildTarget, commit: Commit, context: str) -> list[str]:
    arguments = ((REVISION_ARGUMENT, commit.revision), *commit.arguments)
    secrets = [f"id={id_},env={_SECRET_VARIABLE}{number}" for number, (id_, _) in enumerate(commit.secrets)]
    return [
        *("docker", "buildx", "build", "--progress", "plain", "--platform", target.platform),
        *("--file", posixpath.join(context, commit.dockerfile)),
        *(("--target", commit.target) if commit.target else ()),
        *(word for name, value in arguments for word in ("--build-arg", f"{name}={value}")),
        *(word for secret in secrets for word in ("--secret", secret)),
        *_NO_ATTESTATIONS,
    ]


def _copying(target: BuildTarget, copy: Copy, tools: Tools) -> dict[str, list[str]]:
    """Nothing of the image is run, so that the logins may stay while it is copied."""
    logins = {_registry(target.repository): tools.region}
    source = _registry(copy.image)
    if found := Registry.named(source):
        logins.setdefault(source, found.region)
    words = copying(copy, target.image, platform=target.platform, passwords=_PASSWORDS, digest_file=_DIGEST_FILE)
    return {
        "pre_build": [_MAKE_WORK, *(_login(registry, where) for registry, where in logins.items())],
        "post_build": [_skopeo(tools, words), _TELL_DIGEST],
    }


def _skopeo(tools: Tools, arguments: list[str]) -> str:
    """A container of skopeo that sees the logins and the files of this build, and nothing else of it."""
    logins = f'"${{DOCKER_CONFIG:-$HOME/.docker}}/config.json:{_PASSWORDS}:ro"'
    work = f'"${_WORK_VARIABLE}:{_WORK}"'
    words = shlex.join(["--entrypoint", "skopeo", tools.skopeo, *arguments])
    return f"docker run --rm --volume {logins} --volume {work} {words}"


def _builder(image: str) -> str:
    """Docker's own driver can neither keep a cache in a registry nor set the times of files."""
    driver = ("--driver", "docker-container", "--driver-opt", f"image={image}")
    return shlex.join(["docker", "buildx", "create", "--use", *driver])


def _login(registry: str, region: str) -> str:
    password = shlex.join(["aws", "ecr", "get-login-password", "--region", region])
    login = shlex.join(["docker", "login", "--username", "AWS", "--password-stdin", registry])
    return f"{password} | {login}"


def _registry(name: str) -> str:
    return name.partition("/")[0]


def _local(path: str) -> str:
    """A folder that buildx cannot take for an address, as it would ``github.com/acme/model`` if there is none such."""
    return path if path == "." else f"./{path}"
