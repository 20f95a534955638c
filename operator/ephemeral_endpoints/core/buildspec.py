"""What AWS CodeBuild is told to do to make an image.

Words that come from an order are quoted for the shell of CodeBuild (Build specification reference for CodeBuild,
https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html). Steps that can fail for different reasons
are different phases, since the phase that failed is what CodeBuild tells.
"""

import json
import posixpath
import re
import shlex
from typing import Final

from ephemeral_endpoints.core.builds import REVISION_ARGUMENT, Commit, Copy, Order

IMAGE_VARIABLE: Final = "EEP_IMAGE"
"""Tells of a build which image it makes."""

OWNER_VARIABLE: Final = "EEP_OWNER"
"""Tells of a build which class began it."""

_SECRET_VARIABLE: Final = "EEP_SECRET_"  # noqa: S105 - the name of a variable, without its value
_ECR: Final = re.compile(r"[0-9]{12}\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
_BUILDER: Final = "docker buildx create --use --driver docker-container"
"""Docker's own driver can neither keep a cache in a registry nor set the times of files."""


def buildspec(order: Order, *, region: str) -> str:
    """The buildspec, as JSON (which YAML contains), for a project in ``region``.

    The same commit gives the same digest, since all times are those of ``SOURCE_DATE_EPOCH``.
    """
    origin = order.origin
    phases = _copying(order, origin, region) if isinstance(origin, Copy) else _building(order, origin, region)
    told = {name: {"on-failure": "ABORT", "commands": commands} for name, commands in phases.items()}
    return json.dumps({"version": 0.2, "env": {"variables": {"SOURCE_DATE_EPOCH": "0"}}, "phases": told})


def variables(order: Order, owner: str) -> list[dict[str, str]]:
    """The environment variables of the build, as StartBuild takes them. ``owner`` stands for the class."""
    secrets = order.origin.secrets if isinstance(order.origin, Commit) else ()
    return [
        {"name": IMAGE_VARIABLE, "value": order.image, "type": "PLAINTEXT"},
        {"name": OWNER_VARIABLE, "value": owner, "type": "PLAINTEXT"},
        *(
            {"name": f"{_SECRET_VARIABLE}{number}", "value": secret, "type": "SECRETS_MANAGER"}
            for number, (_, secret) in enumerate(secrets)
        ),
    ]


def _building(order: Order, commit: Commit, region: str) -> dict[str, list[str]]:
    """The Dockerfile may fail in the first of the builds; the second, which finds all its layers, only at pushing."""
    kept = f"type=registry,ref={order.cache}"
    cache = f"{kept},mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true"
    context = _local(commit.context)
    words = [*_build_words(order, commit, context), "--cache-from", kept]
    pushed = ("--tag", order.image, "--output", "type=image,push=true,rewrite-timestamp=true")
    return {
        "pre_build": [_login(_registry(order.repository), region), _BUILDER],
        "build": [shlex.join([*words, "--output", "type=cacheonly", context])],
        "post_build": [shlex.join([*words, "--cache-to", cache, *pushed, context])],
    }


def _build_words(order: Order, commit: Commit, context: str) -> list[str]:
    arguments = ((REVISION_ARGUMENT, commit.revision), *commit.arguments)
    secrets = [f"id={id_},env={_SECRET_VARIABLE}{number}" for number, (id_, _) in enumerate(commit.secrets)]
    return [
        *("docker", "buildx", "build", "--progress", "plain", "--platform", order.platform),
        *("--file", posixpath.join(context, commit.dockerfile)),
        *(("--target", commit.target) if commit.target else ()),
        *(word for name, value in arguments for word in ("--build-arg", f"{name}={value}")),
        *(word for secret in secrets for word in ("--secret", secret)),
        *("--provenance", "false", "--sbom", "false"),
    ]


def _copying(order: Order, copy: Copy, region: str) -> dict[str, list[str]]:
    """Without an index around a single image, which buildx would make: the copy has the digest of its source."""
    logins = {_registry(order.repository): region}
    source = _registry(copy.image)
    if found := _ECR.fullmatch(source):
        logins.setdefault(source, found["region"])
    create = ("docker", "buildx", "imagetools", "create", "--prefer-index=false")
    return {
        "pre_build": [_login(registry, where) for registry, where in logins.items()],
        "post_build": [shlex.join([*create, "--tag", order.image, copy.image])],
    }


def _login(registry: str, region: str) -> str:
    password = shlex.join(["aws", "ecr", "get-login-password", "--region", region])
    login = shlex.join(["docker", "login", "--username", "AWS", "--password-stdin", registry])
    return f"{password} | {login}"


def _registry(name: str) -> str:
    return name.partition("/")[0]


def _local(path: str) -> str:
    """A folder that buildx cannot take for an address, as it would ``github.com/acme/model`` if there is none such."""
    return path if path == "." else f"./{path}"
