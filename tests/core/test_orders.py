from collections.abc import Mapping
from typing import Any

import pytest
from tests.core.objects import CLUSTER, endpoint, endpoint_class, merged

from ephemeral_endpoints.api.model import Platform
from ephemeral_endpoints.core.builds import Commit, Copy
from ephemeral_endpoints.core.images import ImageProblem
from ephemeral_endpoints.core.orders import order_of, platform_of, refusal

SHA = "6dcd4ce23d88e2ee9568ba546c007c63d9131c1b"
BUILDS: Mapping[str, Any] = {"codeBuild": {"project": "previews"}}
FORK = {"headRepository": "mallory/sentiment"}


def built(build: Mapping[str, Any] | None = None, source: Mapping[str, Any] | None = None, **metadata: Any) -> Any:  # noqa: ANN401 - any member
    spec = {"source": {"revision": SHA, **(source or {})}, "model": {"image": None, "build": build or {}}}
    return endpoint({"spec": spec, "metadata": metadata})


def klass(images: Mapping[str, Any] | None = None, **builds: Any) -> Any:  # noqa: ANN401 - any member
    return endpoint_class({"spec": {"builds": merged(BUILDS, builds), "images": images or {}}})


def test_what_somebody_pushes_is_not_made() -> None:
    assert order_of(CLUSTER, endpoint(), klass()) is None
    assert refusal(endpoint(), endpoint_class()) is None


def test_a_commit_is_fetched_from_where_the_class_says() -> None:
    build = {"context": "models", "arguments": {"B": "2", "A": "1"}, "secrets": ["pip"]}
    order = order_of(CLUSTER, built(build), klass(gitUrl="https://git.acme.dev", secrets={"pip": "builds/pip"}))
    assert order is not None
    assert order.origin == Commit(
        location="https://git.acme.dev/acme/sentiment.git",
        revision=SHA,
        context="models",
        arguments=(("A", "1"), ("B", "2")),
        secrets=(("pip", "builds/pip"),),
    )
    assert order.platform == "linux/amd64"


def test_a_commit_of_a_fork_is_fetched_from_the_fork() -> None:
    order = order_of(CLUSTER, built(source=FORK), klass())
    assert order is not None
    assert isinstance(order.origin, Commit)
    assert order.origin.location == "https://github.com/mallory/sentiment.git"


def test_a_copy_is_of_the_image_that_is_named() -> None:
    spec = {"source": {"revision": SHA}, "model": {"image": None, "copy": {"image": "quay.io/acme/model:1"}}}
    order = order_of(CLUSTER, endpoint({"spec": spec}), klass())
    assert order is not None
    assert order.origin == Copy("quay.io/acme/model:1", SHA)


@pytest.mark.parametrize(
    ("type_", "platform"),
    [
        pytest.param(None, Platform.AMD64, id="serverless"),
        pytest.param("ml.m5.large", Platform.AMD64, id="Intel"),
        pytest.param("ml.g4dn.xlarge", Platform.AMD64, id="a GPU, and no Graviton"),
        pytest.param("ml.c7g.large", Platform.ARM64, id="Graviton"),
        pytest.param("ml.m6gd.large", Platform.ARM64, id="Graviton with disks"),
        pytest.param("ml.g5g.xlarge", Platform.ARM64, id="Graviton with a GPU"),
    ],
)
def test_what_an_instance_type_runs(type_: str | None, platform: Platform) -> None:
    serving = {"serving": {"instances": {"type": type_}}} if type_ else {}
    assert platform_of(endpoint({"spec": serving}).spec.serving) is platform


@pytest.mark.parametrize(
    ("obj", "of", "problem", "told"),
    [
        pytest.param(built(), klass(), None, "", id="a commit of the repository"),
        pytest.param(built(), endpoint_class(), ImageProblem.NOT_BUILT, "set its spec.builds", id="no builder"),
        pytest.param(built({"secrets": ["x"]}), klass(), ImageProblem.NOT_BUILT, "names x, but", id="another secret"),
        pytest.param(
            built({"platform": "linux/arm64"}),
            klass(),
            ImageProblem.OTHER_PLATFORM,
            "takes linux/amd64 only",
            id="for what it is not served on",
        ),
        pytest.param(built(source=FORK), klass(), ImageProblem.UNAPPROVED, SHA, id="a fork that nobody has read"),
        pytest.param(
            built(source=FORK, annotations={"ephemeral-endpoints.io/approved-revision": SHA}),
            klass(),
            None,
            "",
            id="a fork, approved",
        ),
        pytest.param(
            built(source=FORK, annotations={"ephemeral-endpoints.io/approved-revision": "a" * 40}),
            klass(),
            ImageProblem.UNAPPROVED,
            SHA,
            id="another commit was approved",
        ),
        pytest.param(built(source=FORK), klass(forks="Build"), None, "", id="forks are trusted"),
        pytest.param(
            built(source=FORK, annotations={"ephemeral-endpoints.io/approved-revision": SHA}),
            klass(forks="Refuse"),
            ImageProblem.NOT_BUILT,
            "builds no forks",
            id="forks are refused whoever approves",
        ),
        pytest.param(
            built(source={"headRepository": "Acme/Sentiment"}), klass(), None, "", id="the same repository, not a fork"
        ),
        pytest.param(built(), klass(approveAll=True), ImageProblem.UNAPPROVED, "acme/sentiment", id="all need it"),
    ],
)
def test_what_a_class_builds(obj: Any, of: Any, problem: ImageProblem | None, told: str) -> None:  # noqa: ANN401
    found = refusal(obj, of)
    assert (found.problem if found else None) is problem
    assert told in (found.message if found else "")


@pytest.mark.parametrize(
    ("image", "allowed", "problem"),
    [
        pytest.param("quay.io/acme/model:1", ["quay.io/acme/*"], None, id="allowed"),
        pytest.param(f"quay.io/acme/model:1@sha256:{'a' * 64}", ["quay.io/acme/model"], None, id="by its name"),
        pytest.param("quay.io:443/acme/model:1", ["quay.io:443/acme/*"], None, id="with a port"),
        pytest.param("quay.io/mallory/model:1", ["quay.io/acme/*"], ImageProblem.NOT_ALLOWED, id="another one"),
        pytest.param("quay.io/acme/model:1", [], ImageProblem.NOT_ALLOWED, id="none is"),
    ],
)
def test_what_a_class_copies(image: str, allowed: list[str], problem: ImageProblem | None) -> None:
    spec = {"model": {"image": None, "copy": {"image": image}}}
    found = refusal(endpoint({"spec": spec}), klass({"allowedSources": allowed}))
    assert (found.problem if found else None) is problem
