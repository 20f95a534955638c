from collections.abc import Iterator
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
import requests
from kubernetes import client
from tests.fixtures.containers import build_image
from tests.fixtures.operator import REVISION, Bench, OperatorProcess, reconciled
from tests.fixtures.waiting import eventually

from eep_platform.bootstrap import EXAMPLE_REPOSITORY
from eep_platform.containers import registry
from eep_platform.containers.image import BuiltImage
from eep_platform.workbench import Object, condition, is_ready
from ephemeral_endpoints.api.kinds import ENDPOINT_CLASS
from ephemeral_endpoints.kube.client import secret_name

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def echo() -> BuiltImage:
    return build_image(ROOT / "tests" / "integration" / "echo", revision=REVISION)


@pytest.fixture
def no_default(bench: Bench, operator_process: OperatorProcess) -> Iterator[None]:
    """Nobody is the default class meanwhile, which the operator knows: it hears of objects by another watch."""
    url = operator_process.resume()
    before = reconciled(url, ENDPOINT_CLASS)
    bench.mark_default(None)
    eventually(lambda: reconciled(url, ENDPOINT_CLASS) > before, "the class without its mark reconciled")
    yield
    bench.mark_default("true")


def is_stalled(obj: Object) -> bool:
    return condition(obj, "Stalled").get("status") == "True"


def test_an_image_that_is_not_pushed_yet_is_waited_for_and_picked_up(bench: Bench, echo: BuiltImage) -> None:
    tag = f"late-{bench.namespace}"
    bench.apply("pr", bench.spec(model={"image": bench.image_uri(tag)}))
    waiting = bench.wait_condition("pr", "ImageReady", reason="ImageNotFound")
    assert condition(waiting, "Ready")["reason"] == "ImageNotFound"
    assert tag in condition(waiting, "Ready")["message"]
    assert not is_stalled(waiting), "a push helps"
    assert "CreateModel" not in bench.effects()

    digest = registry.push(echo, registry=bench.platform.registry, repository=EXAMPLE_REPOSITORY, tag=tag)
    ready = bench.wait_ready("pr")
    assert ready["status"]["image"]["digest"] == digest


@pytest.mark.parametrize(
    ("image", "reason", "remedy"),
    [
        pytest.param(
            "000000000000.dkr.ecr.eu-west-1.amazonaws.com/models/wine:echo",
            "ImageInOtherRegion",
            "push it to us-east-1",
            id="SageMaker reads only its own region's registry",
        ),
        pytest.param(
            "111122223333.dkr.ecr.us-east-1.amazonaws.com/models/wine:echo",
            "RepositoryNotAllowed",
            "use a repository of account 000000000000",
            id="another account's images are not trusted",
        ),
    ],
)
def test_an_image_that_can_never_be_served_stalls_the_object(
    bench: Bench, image: str, reason: str, remedy: str
) -> None:
    bench.apply("pr", bench.spec(model={"image": image}))
    refused = bench.wait_condition("pr", "Ready", reason=reason)
    assert is_stalled(refused)
    assert remedy in condition(refused, "Ready")["message"]
    assert "CreateModel" not in bench.effects()


def test_an_unknown_class_is_waited_for(bench: Bench) -> None:
    name = f"late-{bench.namespace}"
    bench.apply("pr", bench.spec(className=name))
    waiting = bench.wait_condition("pr", "Ready", reason="ClassNotFound")
    assert name in condition(waiting, "Ready")["message"]
    assert not bench.effects()

    bench.make_class(name)
    bench.wait_ready("pr")
    bench.delete("pr")
    bench.wait_gone("pr")
    bench.delete_class(name)
    bench.wait_class_gone(name)


@pytest.mark.usefixtures("no_default")
def test_without_a_default_class_an_object_waits_until_there_is_one(bench: Bench) -> None:
    bench.apply("pr", bench.spec())
    waiting = bench.wait_condition("pr", "Ready", reason="ClassNotFound")
    assert "no EphemeralEndpointClass is the default" in condition(waiting, "Ready")["message"]

    bench.mark_default("true")
    bench.wait_ready("pr")


def test_an_object_that_waits_for_its_class_can_be_deleted(bench: Bench) -> None:
    bench.apply("pr", bench.spec(className="never"))
    bench.wait_condition("pr", "Ready", reason="ClassNotFound")
    bench.delete("pr")
    bench.wait_gone("pr")


def test_an_older_object_that_asks_for_the_path_of_another_waits_until_that_one_is_gone(bench: Bench) -> None:
    path, open_to_all = f"/{bench.namespace}/shared/v1", {"type": "None"}
    attack = bench.spec(api={"path": path, "auth": open_to_all}, model=bench.saying("older"))
    bench.apply("older", {**attack, "api": {"path": f"/{bench.namespace}/older/v1", "auth": open_to_all}})
    bench.wait("older", lambda obj: age(obj) >= timedelta(seconds=1), what="a second old")
    holder = bench.spec(api={"path": path}, model=bench.saying("holder"))
    bench.apply("holder", holder)
    bench.wait_ready("older")
    url = bench.wait_ready("holder")["status"]["url"]
    bench.apply("older", attack)
    refused = bench.wait_condition("older", "RouteReady", reason="PathConflict")
    assert f"{bench.namespace}/holder" in condition(refused, "RouteReady")["message"]
    bench.apply("holder", holder, labels={"touched": "true"})
    bench.wait("holder", lambda obj: bool(obj["status"]["route"].get("waiting")), what="reporting who waits")
    assert bench.call(url, b"", token=bench.token("holder")).text == "holder"
    assert bench.call(url, b"", token=None).status_code == HTTPStatus.UNAUTHORIZED

    bench.delete("holder")
    bench.wait_ready("older")
    assert bench.call(url, b"", token=None).text == "older"


def test_the_crash_of_a_model_server_is_reported_and_a_corrected_spec_recovers(
    bench: Bench, model_image: BuiltImage
) -> None:
    registry.push(model_image, registry=bench.platform.registry, repository=EXAMPLE_REPOSITORY, tag="crashing")
    model = {"image": bench.image_uri("crashing")}
    bench.apply("pr", bench.spec(model={**model, "environment": {"MAX_BODY_BYTES": "many"}}))
    failed = bench.wait_condition("pr", "EndpointReady", reason="EndpointFailed")
    assert condition(failed, "Reconciling")["status"] == "True", "it will be tried again"
    reported = bench.wait(
        "pr",
        lambda obj: "last lines of the log" in condition(obj, "Ready")["message"],
        what="telling the last lines of the log",
    )
    assert "MAX_BODY_BYTES is 'many'" in condition(reported, "Ready")["message"]

    bench.apply("pr", bench.spec(model={**model, "environment": {"LOG_LEVEL": "INFO"}}))
    bench.wait_ready("pr")


def test_a_ttl_beyond_what_the_class_grants_is_cut_and_says_so(bench: Bench) -> None:
    made = bench.apply("pr", bench.spec(lifecycle={"ttl": "400h"}))
    ready = bench.wait_ready("pr")
    longest = timedelta(hours=336)
    assert datetime.fromisoformat(ready["status"]["expiresAt"]) == created_at(made) + longest
    assert "maxTtl" in condition(ready, "Ready")["message"]


def test_the_longest_names_and_any_script_are_served(bench: Bench) -> None:
    name = f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}"
    assert len(name) == 253
    source = {"repository": "acme/echo", "revision": REVISION, "branch": "функція/機械学習"}
    obj = bench.apply(name, bench.spec(source=source))
    url = bench.wait_ready(name)["status"]["url"]
    assert url.endswith(f"/{bench.namespace}/{name}")
    assert bench.call(url, b"", token=bench.token(name)).status_code == 200
    assert bench.events(obj), "the name of an Event is longer than that of its object"


def test_the_door_refuses_what_is_not_a_proper_request_and_says_why(bench: Bench) -> None:
    bench.apply("pr", bench.spec(api={"maxBodyBytes": 64}))
    url, token = bench.wait_ready("pr")["status"]["url"], bench.token("pr")
    headers = {"Authorization": f"Bearer {token}"}
    answers = {
        "no token": bench.call(url, b"", token=None),
        "wrong token": bench.call(url, b"", token="guessed"),  # noqa: S106 - a wrong one
        "long body": bench.call(url, b"x" * 65, token=token),
        "method": requests.put(url, headers=headers, timeout=60),
        "longest body": bench.call(url, b"x" * 64, token=token),
    }
    assert {what: answer.status_code for what, answer in answers.items()} == {
        "no token": 401,
        "wrong token": 401,
        "long body": 413,
        "method": 405,
        "longest body": 200,
    }
    refusals = [answer for answer in answers.values() if not answer.ok]
    assert {answer.headers["Content-Type"] for answer in refusals} == {"application/problem+json"}
    assert answers["no token"].headers["WWW-Authenticate"].startswith("Bearer")
    assert answers["method"].headers["Allow"] == "GET, OPTIONS, POST"


def test_a_url_without_authentication_takes_everybody(bench: Bench) -> None:
    bench.apply("pr", bench.spec(api={"auth": {"type": "None"}}))
    assert bench.call(bench.wait_ready("pr")["status"]["url"], b"", token=None).status_code == 200


def test_while_the_endpoint_is_created_callers_are_asked_to_come_back(bench: Bench) -> None:
    bench.control.patch_sagemaker_settings({"behaviour": {"stuck": True}})
    bench.apply("pr", bench.spec())
    routed = bench.wait("pr", lambda obj: "url" in obj.get("status", {}), what="routed")
    assert not is_ready(routed)
    assert condition(routed, "EndpointReady")["reason"] == "Creating"
    early = bench.call(routed["status"]["url"], b"", token=bench.token("pr"))
    assert early.status_code == 503
    assert int(early.headers["Retry-After"]) > 0

    bench.control.patch_sagemaker_settings({"behaviour": None})
    bench.wait_ready("pr")


def test_a_foreign_secret_of_the_tokens_name_is_left_alone(bench: Bench) -> None:
    name = secret_name("pr")
    foreign = client.V1Secret(metadata=client.V1ObjectMeta(name=name), string_data={"token": "somebody else's"})
    bench.core.create_namespaced_secret(bench.namespace, foreign)
    bench.apply("pr", bench.spec())
    refused = bench.wait_condition("pr", "Ready", reason="SecretConflict")
    assert name in condition(refused, "Ready")["message"]
    assert bench.token("pr") == "somebody else's"

    bench.core.delete_namespaced_secret(name, bench.namespace)
    bench.wait_ready("pr")


def created_at(obj: Object) -> datetime:
    return datetime.fromisoformat(obj["metadata"]["creationTimestamp"])


def age(obj: Object) -> timedelta:
    return datetime.now(created_at(obj).tzinfo) - created_at(obj)
