"""What a model can run on, on real parts: variants, instances, autoscaling, guardrails, capture, queued requests."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from tests.fixtures.operator import REVISION, Bench
from tests.fixtures.waiting import TIMEOUT_SECONDS, eventually

from eep_platform.workbench import Object, condition
from ephemeral_endpoints.features.monitoring.desired import ALARM_PERIODS
from ephemeral_endpoints.features.serving.desired import ONLY_VARIANT

ON_INSTANCES: Mapping[str, Any] = {"instances": {"type": "ml.m5.large"}}
FOR_TWO: Mapping[str, Any] = {"serverless": {"maxConcurrency": 2}}
"""Room for a caller whose last request is still being answered."""
SCALED: Mapping[str, Any] = {"minCount": 1, "maxCount": 2, "invocationsPerInstance": 100}


def ask(bench: Bench, obj: Object, variant: str | None = None) -> requests.Response:
    """POST to the object's URL, for one variant or for any."""
    token = bench.token(obj["metadata"]["name"])
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    wish = {"eep-variant": variant} if variant else {}
    return requests.post(obj["status"]["url"], data=b"{}", headers=headers | wish, timeout=TIMEOUT_SECONDS)


def two(*, weights: tuple[int, int] = (1, 1), says: tuple[str, str] = ("one", "two")) -> list[Any]:
    """Variants ``a`` and ``b`` that say different things."""
    return [
        {"name": name, "weight": weight, "model": {"environment": {"SAY": text}}}
        for name, weight, text in zip("ab", weights, says, strict=True)
    ]


@contextmanager
def never_refused(bench: Bench, obj: Object) -> Iterator[list[requests.Response]]:
    """Ask again and again until the end of the block; yields the answers, all of which must be good."""
    answers: list[requests.Response] = []
    done = threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            answers.append(ask(bench, obj))

    thread = threading.Thread(target=keep_asking)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()
    assert answers
    assert {each.status_code for each in answers} == {200}, [each.text for each in answers if not each.ok]


@pytest.mark.parametrize("serving", [{}, ON_INSTANCES], ids=["serverless", "instances"])
def test_variants_share_a_url_and_callers_can_choose(bench: Bench, serving: Mapping[str, Any]) -> None:
    bench.apply("pr", bench.spec(serving={**serving, "variants": two(weights=(1, 0))}))
    obj = bench.wait_ready("pr")
    assert len(bench.left()["Endpoint"]) == (1 if serving else 2)
    assert {(answer.text, answer.headers["eep-variant"]) for answer in (ask(bench, obj) for _ in range(8))} == {
        ("one", "a")
    }
    named = ask(bench, obj, "b")
    assert (named.text, named.headers["eep-variant"]) == ("two", "b")
    unknown = ask(bench, obj, "c")
    assert (unknown.status_code, unknown.json()["type"].rpartition(":")[2]) == (400, "unknown-variant")
    assert [each["name"] for each in obj["status"]["variants"]] == ["a", "b"]


def test_serverless_variants_come_and_go_behind_a_url_that_never_refuses(bench: Bench) -> None:
    bench.apply("pr", bench.spec(model=bench.saying("alone"), serving=FOR_TWO))
    obj = bench.wait_ready("pr")
    with never_refused(bench, obj) as answers:
        bench.apply("pr", bench.spec(model=bench.saying("alone"), serving={**FOR_TWO, "variants": two()}))
        eventually(lambda: {"one", "two"} <= {each.text for each in answers}, "both variants")
        bench.wait_ready("pr")
        bench.apply("pr", bench.spec(model=bench.saying("alone again"), serving=FOR_TWO))
        eventually(lambda: answers[-1].text == "alone again", "one model again")
        bench.wait_ready("pr")
    eventually(lambda: len(bench.left()["Endpoint"]) == 1, "one endpoint")


def test_a_serverless_endpoint_moves_to_instances_without_a_refused_request(bench: Bench) -> None:
    bench.apply("pr", bench.spec(serving=FOR_TWO))
    obj = bench.wait_ready("pr")
    with never_refused(bench, obj):
        bench.apply("pr", bench.spec(serving=ON_INSTANCES))
        bench.wait_ready("pr")
    endpoint = bench.aws("sagemaker").describe_endpoint(EndpointName=obj["status"]["endpointName"])
    assert endpoint["ProductionVariants"][0]["CurrentInstanceCount"] == 1


def test_autoscaling_is_made_goes_before_the_instance_type_changes_and_comes_back(bench: Bench) -> None:
    bench.apply("pr", bench.spec(serving={"instances": {"type": "ml.m5.large", "autoscaling": SCALED}}))
    obj = bench.wait_ready("pr")
    [target] = bench.left()["ScalableTarget"]
    assert obj["status"]["endpointName"] in target
    bench.control.reset_meter()

    bench.apply("pr", bench.spec(serving={"instances": {"type": "ml.m5.xlarge", "autoscaling": SCALED}}))
    bench.wait_ready("pr")
    about = ("DeregisterScalableTarget", "UpdateEndpoint", "RegisterScalableTarget", "PutScalingPolicy")
    assert [each.operation for each in bench.mutations() if each.operation in about] == list(about)

    bench.apply("pr", bench.spec(serving={"instances": {"type": "ml.m5.xlarge"}}))
    bench.wait_ready("pr")
    eventually(lambda: "ScalableTarget" not in bench.left(), "no autoscaling")


def put_failures(bench: Bench, endpoint: str) -> None:
    """Have CloudWatch know of failures in the last minutes, as many as the alarm on errors looks at."""
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": ONLY_VARIANT}]
    failures = {"MetricName": "Invocation5XXErrors", "Dimensions": dimensions, "Values": [1.0], "Counts": [1000.0]}
    minutes = [datetime.now(UTC) - timedelta(minutes=ago) for ago in range(ALARM_PERIODS + 1)]
    data = [{**failures, "Timestamp": minute} for minute in minutes]
    bench.aws("cloudwatch").put_metric_data(Namespace="AWS/SageMaker", MetricData=data)


def test_an_alarm_takes_a_canary_back_and_the_old_revision_goes_on_serving(bench: Bench) -> None:
    serving = {**ON_INSTANCES, "rollout": {"strategy": "Canary", "stepPercent": 50, "interval": "1h"}}
    bench.apply("pr", bench.spec(model=bench.saying("old"), serving=serving))
    obj = bench.wait_ready("pr")
    source = {"repository": "acme/echo", "revision": "2222222"}
    bench.apply("pr", bench.spec(model=bench.saying("new"), serving=serving, source=source))
    bench.wait_called("UpdateEndpoint")
    eventually(lambda: ask(bench, obj).text == "new", "the canary")
    put_failures(bench, obj["status"]["endpointName"])
    back = bench.wait_condition("pr", "EndpointReady", reason="RolledBack")
    assert "errors" in condition(back, "EndpointReady")["message"]
    assert back["status"]["revision"] == REVISION
    assert {ask(bench, obj).text for _ in range(8)} == {"old"}


def test_requests_and_answers_are_captured(bench: Bench) -> None:
    bench.aws("s3").create_bucket(Bucket="captures")
    bench.apply("pr", bench.spec(serving=ON_INSTANCES, capture={"s3Uri": "s3://captures/pr"}))
    obj = bench.wait_ready("pr")
    assert ask(bench, obj).text == "hello"

    def captured() -> list[Any]:
        observed = bench.aws("s3").list_objects_v2(Bucket="captures", Prefix="pr/").get("Contents", [])
        read = (bench.aws("s3").get_object(Bucket="captures", Key=each["Key"])["Body"].read() for each in observed)
        return [json.loads(line) for text in read for line in text.splitlines()]

    lines = eventually(captured, "a record")
    assert {line["captureData"]["endpointOutput"]["mode"] for line in lines} == {"OUTPUT"}


def test_queued_requests_are_answered_where_the_location_says(bench: Bench) -> None:
    bench.aws("s3").create_bucket(Bucket="inference")
    asynchronous = {"s3Uri": "s3://inference/prs"}
    bench.apply("pr", bench.spec(serving={**ON_INSTANCES, "asynchronous": asynchronous}))
    obj = bench.wait_ready("pr")
    accepted = ask(bench, obj)
    assert accepted.status_code == 202, accepted.text
    where = requests.compat.urljoin(obj["status"]["url"], accepted.headers["Location"])
    headers = {"Authorization": f"Bearer {bench.token('pr')}"}
    seen: list[requests.Response] = []

    def is_there() -> bool:
        seen.append(requests.get(where, headers=headers, timeout=TIMEOUT_SECONDS))
        return seen[-1].status_code != 202

    eventually(is_there, "a result")
    assert (seen[-1].status_code, seen[-1].text) == (200, "hello")


def test_instances_that_the_class_does_not_allow_are_refused_and_nothing_is_made(bench: Bench) -> None:
    bench.make_class("small", instances={"allowedTypes": ["ml.t2.*"]})
    bench.apply("pr", bench.spec(className="small", serving=ON_INSTANCES))
    obj = bench.wait_condition("pr", "Ready", reason="NotAllowed")
    assert condition(obj, "Stalled")["status"] == "True"
    assert "ml.t2.*" in condition(obj, "Ready")["message"]
    assert "CreateModel" not in bench.effects()
    bench.delete("pr")
    bench.wait_gone("pr")
    bench.delete_class("small")
    bench.wait_class_gone("small")
