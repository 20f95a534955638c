"""Where an image comes from: each rule with an input that both sides refuse, and the message that a person reads."""

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass

Body = dict[str, Any]

SHA = "6dcd4ce23d88e2ee9568ba546c007c63d9131c1b"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/models/sentiment:1f0c2a9"
ONE_ORIGIN = "set exactly one of image"
BAD_PATH = "must be a path within the Git repository"
BAD_VALUE = "values must be printable ASCII characters on one line"
CODE_BUILD: Body = {"codeBuild": {"project": "previews"}}
JOB: Body = {"job": {"namespace": "builds", "serviceAccountName": "builder"}}


def built(**build: object) -> Body:
    return {"model": {"build": build}, "source": {"revision": SHA}}


def copied(image: str) -> Body:
    return {"model": {"copy": {"image": image}}}


def builds(base: Body = CODE_BUILD, **members: object) -> Body:
    return {"builds": {**base, **members}}


REFUSED: list[tuple[Body, str, str]] = [
    ({"model": {}}, "no origin", ONE_ORIGIN),
    ({"model": {"image": IMAGE, "build": {}}, "source": {"revision": SHA}}, "two origins", ONE_ORIGIN),
    ({"model": {"image": IMAGE, "copy": {"image": "quay.io/a/b:1"}}}, "two origins", ONE_ORIGIN),
    ({"model": {"build": {}}, "source": {"revision": "6dcd4ce"}}, "an abbreviation", "need the full SHA"),
    (built(context="/etc"), "an absolute path", BAD_PATH),
    (built(context="../other"), "out of the repository", BAD_PATH),
    (built(context="a/../../b"), "out of it on a detour", BAD_PATH),
    (built(context="models/"), "a slash at the end", BAD_PATH),
    (built(context="a b"), "a blank", BAD_PATH),
    (built(context="-v"), "an option", BAD_PATH),
    (built(context="$(id)"), "a shell's substitution", BAD_PATH),
    (built(dockerfile="https://evil.example/Dockerfile"), "a URL", BAD_PATH),
    (built(dockerfile="a\nb"), "two lines", BAD_PATH),
    (built(target="--x"), "an option", "must be the name of a stage in the Dockerfile"),
    (built(arguments={"A-B": "x"}), "no name of an argument", "names must be at most 128 letters"),
    (built(arguments={"A": "x\ny"}), "two lines", BAD_VALUE),
    (built(arguments={"A": "ü"}), "beyond ASCII", BAD_VALUE),
    (built(arguments={"MODEL_REVISION": "x"}), "the operator's own", "must not set MODEL_REVISION"),
    (built(arguments={f"A{number}": "" for number in range(51)}), "too many", "arguments"),
    (
        built(arguments={f"A{number}": "x" * 1024 for number in range(17)}),
        "too much",
        "names and values together must be at most 16 KiB",
    ),
    (built(secrets=["Pip"]), "no name of a secret", "must be a DNS label"),
    (built(platform="windows/amd64"), "SageMaker runs Linux", "platform"),
    (copied("nginx:1"), "no registry", "must be an image with its registry"),
    (copied("quay.io/acme/model"), "no tag", "must end with a tag"),
    (copied("quay.io/acme/model:a b"), "a blank", "must be an image with its registry"),
    (copied("quay.io/acme/model:1 --push"), "an option", "must be an image with its registry"),
    (copied("quay.io/Acme/model:1"), "uppercase", "must be an image with its registry"),
    (copied("https://quay.io/acme/model:1"), "a URL", "must be an image with its registry"),
]
ACCEPTED: list[tuple[Body, str]] = [
    (built(), "a Dockerfile in the root"),
    (built(context=".", dockerfile="docker/Dockerfile.gpu"), "all of the repository"),
    (built(context="models/a_b-c+d/.hidden"), "all characters"),
    (built(target="stage.1_a-b", secrets=["pip-token"], platform="linux/arm64"), "all else"),
    (built(arguments={"_A1": " !~", "B": ""}), "printable, or empty"),
    ({"model": {"build": {}}, "source": {"revision": "a" * 64}}, "SHA-256"),
    (copied("public.ecr.aws/acme/model:1.2"), "a public one"),
    (copied(f"localhost:5000/model:1@sha256:{'a' * 64}"), "with a port, tag and digest"),
    (copied("docker.io/library/nginx@sha256:" + "a" * 64), "by digest"),
]
CLASS_REFUSED: list[tuple[Body, str, str]] = [
    (builds({}), "no builder", "set exactly one of codeBuild and job"),
    (builds(CODE_BUILD, **JOB), "two builders", "set exactly one of codeBuild and job"),
    (builds({"codeBuild": {"project": "a b"}}), "a blank", "must be the name of a CodeBuild project"),
    (builds({"codeBuild": {"project": "p1", "pricePerMinute": "1,5"}}), "a comma", "must be a price in USD per minute"),
    (builds({"job": {**JOB["job"], "cpu": "many"}}), "no number", "must be an amount of CPU, such as 2, 1.5 or 500m"),
    (builds({"job": {**JOB["job"], "memory": "4GB"}}), "another unit", "must be an amount of memory, such as 4Gi"),
    (builds(gitUrl="git@github.com:acme"), "SSH", "must be the base URL of the repositories"),
    (builds(gitUrl="https://user:secret@github.com"), "with a password", "must be the base URL"),
    (builds(gitUrl="https://github.com/"), "a slash at the end", "must be the base URL of the repositories"),
    (builds(maxConcurrent=0), "none at all", "maxConcurrent"),
    (builds(timeout="4m"), "less than CodeBuild takes", "must be between 5m and 8h"),
    (builds(timeout="9h"), "more than CodeBuild takes", "must be between 5m and 8h"),
    (builds(secrets={"Pip": "a"}), "uppercase", "names must be DNS labels"),
    (builds(secrets={"pip": "a b"}), "a blank", "must be the name or the ARN of a secret"),
    (builds(forks="Trust"), "another word", "forks"),
    ({"images": {"followTags": "30s"}}, "too often", "must be at least 1m"),
    ({"images": {"allowedSources": ["nginx"]}}, "no registry", "must be a registry and a repository without a tag"),
    ({"images": {"allowedSources": ["quay.io/a:1"]}}, "a tag", "must be a registry and a repository without a tag"),
    ({"images": {"scan": {"severity": "Awful"}}}, "another word", "severity"),
    ({"images": {"scan": {"ignored": ["CVE 1"]}}}, "a blank", "must be the ID of a finding, such as CVE-2026-1234"),
    ({"images": {"repository": {"name": "a", "prefix": "b/"}}}, "too short a name", "name"),
    ({"images": {"repository": {"name": "models", "prefix": "b/"}}}, "two names", "set either name"),
    ({"images": {"repository": {"prefix": "previews"}}}, "no slash", "must be folders of lowercase letters"),
    ({"images": {"repository": {"kmsKeyArn": "alias/key"}}}, "an alias", "must be the ARN of a KMS key"),
]
CLASS_ACCEPTED: list[tuple[Body, str]] = [
    (builds(), "CodeBuild"),
    (builds(JOB), "Jobs"),
    (builds(gitUrl="https://git.acme.dev:8443/scm"), "a server of one's own"),
    (builds(gitUrl="file:///srv/git"), "a disk"),
    (builds(timeout="5m", forks="Refuse", approveAll=True, maxConcurrent=100), "at the limits"),
    (builds(secrets={"pip": "arn:aws:secretsmanager:us-east-1:123456789012:secret:builds/pip-AbCdEf"}), "by its ARN"),
    ({"images": {"repository": {"prefix": "a/b-c/"}, "scan": {}, "followTags": "1m"}}, "all of a repository"),
    ({"images": {"repository": {"name": "previews/models"}, "allowedSources": ["*/*"]}}, "one that exists"),
]


def changed(body: Body, change: Body) -> Body:
    """The object with these blocks of its spec in place, of other blocks that are there these members."""
    result = deepcopy(body)
    for name, value in change.items():
        before = {} if name in {"builds", "model"} else result["spec"].get(name, {})
        result["spec"][name] = {**before, **value}
    return result


@pytest.mark.parametrize(("change", "reason", "message"), REFUSED)
def test_both_refuse_an_origin(
    change: Body, reason: str, message: str, endpoint: Body, create: Callable[..., Body]
) -> None:
    assert reason
    body = changed(endpoint, change)
    with pytest.raises(ValueError, match=re.escape(message)):
        EphemeralEndpoint.model_validate(body)
    with pytest.raises(ValueError, match=re.escape(message)):
        create(body)


@pytest.mark.parametrize(("change", "reason"), ACCEPTED)
def test_both_accept_an_origin(change: Body, reason: str, endpoint: Body, create: Callable[..., Body]) -> None:
    assert reason
    body = changed(endpoint, change)
    EphemeralEndpoint.model_validate(body)
    EphemeralEndpoint.model_validate(create(body))


@pytest.mark.parametrize(("change", "reason", "message"), CLASS_REFUSED)
def test_both_refuse_a_class_that_makes_images(
    change: Body, reason: str, message: str, endpoint_class: Body, create: Callable[..., Body]
) -> None:
    assert reason
    body = changed(endpoint_class, change)
    with pytest.raises(ValueError, match=re.escape(message)):
        EphemeralEndpointClass.model_validate(body)
    with pytest.raises(ValueError, match=re.escape(message)):
        create(body)


@pytest.mark.parametrize(("change", "reason"), CLASS_ACCEPTED)
def test_both_accept_a_class_that_makes_images(
    change: Body, reason: str, endpoint_class: Body, create: Callable[..., Body]
) -> None:
    assert reason
    body = changed(endpoint_class, change)
    EphemeralEndpointClass.model_validate(body)
    EphemeralEndpointClass.model_validate(create(body))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"name": "previews"}, id="another one"),
        pytest.param({"prefix": "other/"}, id="another folder"),
        pytest.param({"prefix": None}, id="no folder"),
    ],
)
def test_the_repository_of_a_class_stays(
    change: Body, endpoint_class: Body, stored: Callable[[Body], Body], patch: Callable[[Body, Body], Body]
) -> None:
    body = stored(changed(endpoint_class, {"images": {"repository": {"prefix": "previews/"}}}))
    with pytest.raises(ValueError, match=r"cannot change|set either name"):
        patch(body, {"spec": {"images": {"repository": change}}})
    kept = patch(body, {"spec": {"images": {"repository": {"keepImages": True}}}})
    assert kept["spec"]["images"]["repository"] == {"prefix": "previews/", "keepImages": True}
