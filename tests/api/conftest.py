"""A real API server that serves the CRDs, and the examples as objects to try on it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from eep_platform.controlplane import ControlPlane
from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.api.kinds import BY_NAME

Body = dict[str, Any]

_ROOT = Path(__file__).parents[2]
_NAMESPACE = "api-tests"
_MERGE_PATCH = "application/merge-patch+json"


@pytest.fixture
def endpoint() -> Body:
    """Return the smallest EphemeralEndpoint."""
    return _example("endpoint.yaml")


@pytest.fixture
def endpoint_class() -> Body:
    """Return an EphemeralEndpointClass that is nobody's default."""
    return _example("endpoint-class.yaml") | {"metadata": {"name": "api-tests"}}


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Return a function that runs kubectl and returns what it prints."""
    program = Path(sys.executable).parent / "kubectl"
    scope = (f"--kubeconfig={control_plane.kubeconfig}", f"--namespace={_NAMESPACE}")

    def run(*arguments: str) -> str:
        # A cache of kinds knows none that came after it, for hours.
        cache = f"--cache-dir={tmp_path_factory.mktemp('kubectl')}"
        command = [str(program), *scope, cache, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 the tests' own words
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def custom_objects(kubernetes_client: client.ApiClient, kubectl: Callable[..., str]) -> client.CustomObjectsApi:
    """Return the client of an API server that serves the generated CRDs."""
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(_ROOT / "crds"))
    kinds = [argument for path in sorted((_ROOT / "crds").glob(f"*.{GROUP}.yaml")) for argument in ("-f", str(path))]
    kubectl("wait", "--for=condition=Established", "--timeout=120s", *kinds)
    if f"namespace/{_NAMESPACE}" not in kubectl("get", "namespaces", "--output=name").split():
        kubectl("create", "namespace", _NAMESPACE)
    return client.CustomObjectsApi(kubernetes_client)


@pytest.fixture(scope="session")
def create(custom_objects: client.CustomObjectsApi) -> Callable[..., Body]:
    """Return a function that creates an object, for show only unless `dry_run` is False, and returns it as stored.

    It raises ValueError with the message that a person reads where the API server refuses the object.
    """

    def submit(body: Body, *, dry_run: bool = True) -> Body:
        options = {"field_validation": "Strict"} | ({"dry_run": "All"} if dry_run else {})
        return _call(custom_objects, "create", body, body, **options)

    return submit


@pytest.fixture(scope="session")
def patch(custom_objects: client.CustomObjectsApi) -> Callable[[Body, Body], Body]:
    """Return a function that merge-patches a stored object and returns it; it raises ValueError like `create`."""

    def submit(body: Body, change: Body) -> Body:
        return _call(custom_objects, "patch", body, body["metadata"]["name"], change, _content_type=_MERGE_PATCH)

    return submit


@pytest.fixture
def stored(create: Callable[..., Body], custom_objects: client.CustomObjectsApi) -> Iterator[Callable[[Body], Body]]:
    """Yield a function that stores an object until the end of the test."""
    made: list[Body] = []

    def store(body: Body) -> Body:
        made.append(create(body, dry_run=False))
        return made[-1]

    yield store
    for body in made:
        _call(custom_objects, "delete", body, body["metadata"]["name"])


def _call(custom_objects: client.CustomObjectsApi, verb: str, body: Body, *arguments: object, **options: str) -> Body:
    """Call the client's method for objects of the body's kind."""
    kind = BY_NAME[body["kind"]]
    scope, place = ("namespaced", [_NAMESPACE, kind.plural]) if kind.is_namespaced else ("cluster", [kind.plural])
    method = getattr(custom_objects, f"{verb}_{scope}_custom_object")
    try:
        answer = method(GROUP, VERSION, *place, *arguments, **options)
    except client.ApiException as refusal:
        raise ValueError(json.loads(refusal.body or "")["message"]) from refusal
    assert isinstance(answer, dict)
    return answer


def _example(name: str) -> Body:
    body = yaml.safe_load((_ROOT / "examples" / name).read_text(encoding="utf-8"))
    assert isinstance(body, dict)
    return body
