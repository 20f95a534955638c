import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fixtures.waiting import eventually

from ephemeral_endpoints.api import API_VERSION
from ephemeral_endpoints.api.kinds import BY_NAME, ENDPOINT
from ephemeral_endpoints.api.schema import admission
from ephemeral_endpoints.api.schema.crds import crd as crd_of
from ephemeral_endpoints.api.schema.crds import crds, main
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint

Body = dict[str, Any]
T = TypeVar("T")

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
READY = {"type": "Ready", "status": "True", "reason": "Serving", "lastTransitionTime": "2026-01-01T00:00:00Z"}

# For each field what is accepted; anything else is thrown in by the test.
PLAUSIBLE: dict[str, st.SearchStrategy[object]] = {
    "className": st.from_regex("[a-z][a-z0-9-]{0,5}", fullmatch=True),
    "source.pullRequest": st.integers(-1, 2**40),
    "source.branch": st.text(max_size=256),
    "source.revision": st.from_regex("[0-9a-f]{6,8}", fullmatch=True),
    "model.dataUrl": st.from_regex("s3://[a-z.]{2,4}/.{1,3}[.]tar[.]gz", fullmatch=True),
    "model.environment": st.dictionaries(st.from_regex("[A-Z_ß][A-Z0-9_-]?", fullmatch=True), st.text(max_size=5)),
    "serving.serverless.memorySizeMB": st.sampled_from(range(512, 7168, 512)),
    "serving.serverless.maxConcurrency": st.integers(0, 201),
    "api.path": st.from_regex("(/[a-z.~ ]{1,2}){1,2}", fullmatch=True),
    "api.auth.type": st.sampled_from(["Token", "None", "none"]),
    "api.maxBodyBytes": st.integers(0, 4194305),
    "monitoring.logRetentionDays": st.sampled_from([1, 7, 8, 3653]),
    "monitoring.alarms": st.sampled_from([{}, {"latencyMs": 1}, {"errorRatePercent": 101}]),
    "lifecycle.ttl": st.from_regex("([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?", fullmatch=True),
    "lifecycle.onExpiry": st.sampled_from(["Auto", "Delete", "Retire", "auto"]),
}
ANYTHING: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.just([]) | st.just({})
)
SPECS = st.fixed_dictionaries({}, optional=PLAUSIBLE) | st.sampled_from(sorted(PLAUSIBLE)).flatmap(
    lambda path: st.fixed_dictionaries({path: ANYTHING})
)


def test_the_generated_files_are_those_of_the_models() -> None:
    chart, reference = str(ROOT / "charts/ephemeral-endpoints"), str(ROOT / "docs/reference.md")
    assert main(["--check", "--reference", reference, "--chart", chart, str(ROOT / "crds")]) == 0


def test_checking_finds_a_stale_file_and_leaves_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    stale = tmp_path / "ephemeralendpoints.ephemeral-endpoints.io.yaml"
    stale.write_text("kind: Nothing\n")
    assert main(["--check", str(tmp_path)]) == 1
    assert str(stale) in capsys.readouterr().err
    assert stale.read_text() == "kind: Nothing\n"


def test_checking_finds_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(tmp_path)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == len(crds()) + len(admission.guards())
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_is_the_crd(tmp_path: Path) -> None:
    assert main([str(tmp_path / "new")]) == 0
    written = [
        yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted((tmp_path / "new").glob("*.ephemeral-endpoints.io.yaml"))
    ]
    assert written == sorted(crds(), key=lambda crd: str(crd["metadata"]["name"]))


def test_the_chart_gets_the_same_manifests(tmp_path: Path) -> None:
    assert main([str(tmp_path / "crds"), "--chart", str(tmp_path / "chart")]) == 0
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "crds").iterdir()}
    files = tmp_path / "chart/files"
    copied = {path.name: path.read_text(encoding="utf-8") for path in (files / "crds").iterdir()}
    guards = {name: (files / name).read_text(encoding="utf-8") for name in admission.guards()}
    assert written == copied | guards
    (files / "approval.yaml").unlink()
    assert main(["--check", str(tmp_path / "crds"), "--chart", str(tmp_path / "chart")]) == 1


@pytest.mark.parametrize("crd", crds(), ids=lambda crd: crd["spec"]["names"]["kind"])
def test_every_field_says_what_it_is(crd: Body) -> None:
    for path, schema in _fields(_schema(crd)["spec"], "spec"):
        assert schema["description"].endswith("."), path
        if "default" in schema and "properties" not in schema:
            default = schema["default"]
            written = json.dumps(default) if isinstance(default, bool) else default
            assert f"Default {written}." in schema["description"], path


@pytest.mark.parametrize("crd", crds(), ids=lambda crd: crd["spec"]["names"]["kind"])
def test_the_reference_has_every_field(crd: Body) -> None:
    reference = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    for part in ("spec", "status"):
        assert [path for path, _ in _fields(_schema(crd)[part], part) if f"| `{path}` |" not in reference] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_are_accepted(path: Path, create: Callable[..., Body]) -> None:
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    body["metadata"]["generateName"] = body["metadata"].pop("name")
    read: Any = BY_NAME[body["kind"]].model.model_validate(create(body))
    assert path.name == "endpoint.yaml" or _is_part(body["spec"], read.spec.to_wire())


def test_every_kind_has_an_example() -> None:
    assert {yaml.safe_load(path.read_text(encoding="utf-8"))["kind"] for path in EXAMPLES} == BY_NAME.keys()


def test_the_examples_together_have_every_field() -> None:
    specs = [yaml.safe_load(path.read_text(encoding="utf-8"))["spec"] for path in EXAMPLES if "class" not in path.name]
    shown = {path for spec in specs for path in _paths(spec, "spec")}
    missing = [path for path, _ in _fields(_schema(crd_of(ENDPOINT))["spec"], "spec") if path not in shown]
    assert missing == []


def test_an_object_is_unseen_until_the_operator_has_seen_it(endpoint: Body, stored: Callable[[Body], Body]) -> None:
    assert stored(endpoint)["status"] == {"observedGeneration": -1}


def test_a_user_cannot_write_the_status(endpoint: Body, stored: Callable[[Body], Body]) -> None:
    assert stored(endpoint | {"status": {"url": "https://evil.example"}})["status"] == {"observedGeneration": -1}


def test_what_kubectl_shows_of_an_endpoint(
    endpoint: Body, stored: Callable[[Body], Body], kubectl: Callable[..., str]
) -> None:
    name = stored(endpoint)["metadata"]["name"]
    status = {
        "url": "https://a.example/x",
        "revision": "1f0c2a9",
        "expiresAt": "2999-01-01T00:00:00Z",
        "serving": "serverless-2048",
        "cost": {"hourlyUSD": "0.1150"},
    }
    checked = {**READY, "type": "ChecksPassed", "status": "False", "reason": "ChecksFailed"}
    change = yaml.safe_dump({"status": status | {"conditions": [READY, checked]}})
    kubectl("patch", "eep", name, "--subresource=status", "--type=merge", "--patch", change)
    header, row = kubectl("get", "eep", name).splitlines()
    assert header.split() == ["NAME", "READY", "REASON", "PR", "URL", "EXPIRES", "AGE"]
    assert row.split()[:-1] == [name, "True", "Serving", "42", "https://a.example/x", "2999-01-01T00:00:00Z"]
    header, row = kubectl("get", "eep", name, "--output=wide").splitlines()
    assert header.split()[-5:] == ["REVISION", "CHECKS", "SERVING", "COST/H", "AGE"]
    assert row.split()[-5:-1] == ["1f0c2a9", "False", "serverless-2048", "0.1150"]


def test_what_kubectl_shows_of_a_class(
    endpoint_class: Body, stored: Callable[[Body], Body], kubectl: Callable[..., str]
) -> None:
    name = endpoint_class["metadata"]["name"]
    endpoint_class["metadata"]["annotations"] = {"ephemeral-endpoints.io/is-default-class": "true"}
    stored(endpoint_class)
    header, row = kubectl("get", "eepc", name).splitlines()
    assert header.split() == ["NAME", "READY", "REASON", "REGION", "DEFAULT", "LIMITS", "AGE"]
    assert row.split()[:3] == [name, "us-east-1", "true"], "nothing has reported whether it is ready"


def test_the_objects_are_found_by_their_category(
    endpoint: Body, endpoint_class: Body, stored: Callable[[Body], Body], kubectl: Callable[..., str]
) -> None:
    stored(endpoint)
    stored(endpoint_class)
    shown = kubectl("get", "mlops", "--output=name").split()
    assert f"ephemeralendpoint.ephemeral-endpoints.io/{endpoint['metadata']['name']}" in shown
    assert f"ephemeralendpointclass.ephemeral-endpoints.io/{endpoint_class['metadata']['name']}" in shown


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("eep.spec", "and the object stays in that class."),
        ("eep.spec.serving.serverless.memorySizeMB", "1024, 2048, 3072, 4096, 5120 or 6144."),
        ("eep.spec.lifecycle.ttl", "a duration such as 3d, 72h or 1h30m."),
        ("eep.status.conditions", "with the remedy if something is wrong."),
        ("eepc.spec.images.allowedRepositories", "Empty: every repository of the class's own account and region."),
    ],
)
@pytest.mark.usefixtures("custom_objects")
def test_kubectl_explains_a_field(field: str, words: str, kubectl: Callable[..., str]) -> None:
    def explains() -> bool:
        with contextlib.suppress(AssertionError):
            return words in " ".join(kubectl("explain", field).split())
        return False

    eventually(explains, "the API server publishes the schema, a while after the kind is established")


@settings(max_examples=50, deadline=None, derandomize=True)
@given(changes=SPECS)
def test_the_api_server_and_python_are_of_one_mind(changes: Body, create: Callable[..., Body]) -> None:
    body = _with(changes)
    stored = _unless_refused(lambda: create(body))
    read = _unless_refused(lambda: EphemeralEndpoint.model_validate(body))
    assert (stored is None) == (read is None)
    assert stored is None or read is None or EphemeralEndpoint.model_validate(stored).spec == read.spec


def _unless_refused(make: Callable[[], T]) -> T | None:
    try:
        return make()
    except ValueError:
        return None


def _with(changes: Body) -> Body:
    """Return a valid endpoint with values put at paths of its spec."""
    spec: Body = {
        "source": {"repository": "acme/sentiment", "revision": "1f0c2a9"},
        "model": {"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/models:1"},
    }
    for path, value in changes.items():
        *parents, last = path.split(".")
        part = spec
        for name in parents:
            part = part.setdefault(name, {})
        part[last] = value
    return {"apiVersion": API_VERSION, "kind": "EphemeralEndpoint", "metadata": {"name": "generated"}, "spec": spec}


def _schema(crd: Body) -> Body:
    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    assert isinstance(properties, dict)
    return properties


def _is_part(part: object, whole: object) -> bool:
    """Whether everything that the part says is said by the whole too."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(name in whole and _is_part(value, whole[name]) for name, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) == len(whole) and all(map(_is_part, part, whole))
    return part == whole


def _paths(value: object, path: str) -> Iterator[str]:
    """Yield the path of the value and of all below it."""
    yield path
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _paths(part, f"{path}.{name}")
    elif isinstance(value, list):
        for part in value:
            yield from _paths(part, f"{path}[]")


def _fields(schema: Body, path: str) -> Iterator[tuple[str, Body]]:
    """Yield the path and the schema of the field and of all below it."""
    yield path, schema
    inner, prefix = (schema["items"], f"{path}[].") if "items" in schema else (schema, f"{path}.")
    for name, part in inner.get("properties", {}).items():
        yield from _fields(part, prefix + name)
