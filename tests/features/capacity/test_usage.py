from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.engine.objects import CLUSTER, DIGEST, ENDPOINT, IMAGE, make_class, merged

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.features.capacity.prices import Prices, of_region
from ephemeral_endpoints.features.capacity.usage import (
    Metric,
    Source,
    StoredImage,
    StoredLogs,
    StoredModel,
    Use,
    measures,
    used,
)
from ephemeral_endpoints.features.subject import Subject

PRICES = of_region("us-east-1")
NOW = datetime(2026, 11, 2, 13, tzinfo=UTC)
"""25 hours after the creation of the object."""

GROUP = "/aws/lambda/eep-c1-pr-42"
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/wine/3"
FUNCTION = (("FunctionName", "eep-c1-pr-42"),)
CALLS, MILLISECONDS = (Metric("AWS/Lambda", name, FUNCTION) for name in ("Invocations", "Duration"))


def model(endpoint: str = "eep-c1-pr-42", variant: str = "main") -> Metric:
    return Metric("AWS/SageMaker", "ModelLatency", (("EndpointName", endpoint), ("VariantName", variant)))


def endpoint(serving: dict[str, Any], **status: Any) -> Subject:  # noqa: ANN401 - members of a status
    named = {"endpointName": "eep-c1-pr-42", **status}
    changed = merged(ENDPOINT, {"spec": {"serving": serving}, "status": named})
    return Subject(CLUSTER, EphemeralEndpoint.model_validate(changed), make_class())


def resources(*named: str) -> list[dict[str, str]]:
    return [dict(zip(("kind", "name"), each.split(" "), strict=True)) for each in named]


def uses(one: Subject, sums: dict[Source, Decimal | None], prices: Prices = PRICES, now: datetime = NOW) -> list[Use]:
    return [*used(measures(one, 512, now), sums, prices)]


TWO_GB = endpoint({"serverless": {"memorySizeMB": 2048}})
SUMS: dict[Source, Decimal | None] = {
    CALLS: Decimal(2_000_000),
    MILLISECONDS: Decimal(40_000_000),
    model(): Decimal(3_000_000_000),
}


def test_what_is_used_is_counted_times_its_price() -> None:
    found = uses(TWO_GB, SUMS)
    assert [(each.measure.words, each.formula, each.usd) for each in found] == [
        ("API requests", "2000000 x $0.000001 per request", Decimal(2)),
        ("forwarder, requests", "2000000 x $0.0000002 per request", Decimal("0.4")),
        (
            "forwarder, seconds",
            "40000 s x 0.5 GB x $0.0000166667 per GB-second",
            Decimal(20_000) * Decimal("0.0000166667"),
        ),
        ("serverless, seconds", "3000 s x 2 GB x $0.00002 per GB-second", Decimal("0.12")),
    ]


@pytest.mark.parametrize(
    ("one", "sums", "prices", "usd", "formula"),
    [
        (TWO_GB, {**SUMS, model(): None}, PRICES, None, "not known"),
        (TWO_GB, {}, PRICES, None, "not known"),
        (TWO_GB, SUMS, {}, None, "3000 s x 2 GB x an unknown price"),
        (TWO_GB, {**SUMS, model(): Decimal(0)}, {}, Decimal(0), "0 s x 2 GB x an unknown price"),
        (
            endpoint({"serverless": {"memorySizeMB": 2048, "provisionedConcurrency": 1, "maxConcurrency": 2}}),
            SUMS,
            PRICES,
            None,
            "3000 s x 2 GB x an unknown price",
        ),
    ],
)
def test_what_is_not_known_stays_so(
    one: Subject,
    sums: dict[Source, Decimal | None],
    prices: Prices,
    usd: Decimal | None,
    formula: str,
) -> None:
    found = uses(one, sums, prices)[-1]
    assert (found.usd, found.formula) == (usd, formula)


def test_each_serverless_variant_counts_by_itself_and_instances_do_not_count_by_use() -> None:
    served = [{"name": name, "weight": 1, "endpointName": f"eep-c1-pr-42-{name}"} for name in ("a", "b")]
    several = endpoint({"serverless": {}, "variants": [{"name": "a"}, {"name": "b"}]}, variants=served)
    assert {each.source for each in measures(several, 512, NOW)} >= {
        model("eep-c1-pr-42-a", "a"),
        model("eep-c1-pr-42-b", "b"),
    }
    on_instances = endpoint({"instances": {"type": "ml.m5.large"}})
    assert {each.source for each in measures(on_instances, 512, NOW)} == {CALLS, MILLISECONDS}


def test_before_the_operator_has_named_anything_there_is_nothing_to_count() -> None:
    assert measures(Subject(CLUSTER, EphemeralEndpoint.model_validate(ENDPOINT), make_class()), 512, NOW) == ()


WATCHED = endpoint(
    {"instances": {"type": "ml.m5.large", "autoscaling": {"maxCount": 2, "invocationsPerInstance": 100}}},
    resources=resources(f"LogGroup {GROUP}", "Alarm a", "Alarm b", "ScalableTarget t", "Model m"),
    image={"uri": IMAGE, "digest": DIGEST},
    package={"arn": PACKAGE, "approval": "Approved"},
)
WRITTEN = Metric("AWS/Logs", "IncomingBytes", (("LogGroupName", GROUP),))
KEPT: dict[Source, Decimal | None] = {
    **SUMS,
    WRITTEN: Decimal(2**31),
    StoredLogs(GROUP): Decimal(2**30),
    StoredImage(IMAGE, DIGEST): Decimal(3 * 2**29),
    StoredModel(PACKAGE): Decimal(2**20),
}
SHARE = Decimal(25) / 730


def test_what_is_written_and_kept_counts_for_the_hours_that_the_object_was_there() -> None:
    found = uses(WATCHED, KEPT)[3:]
    assert [(each.measure.words, each.formula) for each in found] == [
        (f"logs written to {GROUP}", "2 GB x $0.50 per GB"),
        (f"logs kept in {GROUP}", "1 GB x 25.00 h / 730 x $0.03 per GB-month"),
        ("alarms", "2 x 25.00 h / 730 x $0.10 per alarm-month"),
        ("alarms of autoscaling", "2 x 25.00 h / 730 x $0.10 per alarm-month"),
        ("image sentiment:1f0c2a9", "1.5 GB x 25.00 h / 730 x $0.10 per GB-month"),
        ("model data", "0.000976562 GB x 25.00 h / 730 x $0.023 per GB-month"),
    ]
    usd = [Decimal(each) for each in ("1", "0.03", "0.2", "0.2", "0.15", "0.0000224609375")]
    expected = [usd[0], *(each * SHARE for each in usd[1:])]
    assert [each.usd for each in found] == [pytest.approx(each) for each in expected]


def test_in_a_later_month_what_is_kept_counts_since_the_beginning_of_that_month() -> None:
    [alarms] = [
        each for each in uses(WATCHED, KEPT, now=datetime(2026, 12, 2, tzinfo=UTC)) if each.measure.words == "alarms"
    ]
    assert alarms.formula == "2 x 24.00 h / 730 x $0.10 per alarm-month"


def test_without_a_price_or_a_count_nothing_is_taken_for_free() -> None:
    assert {each.usd for each in uses(WATCHED, KEPT, {})} == {None}
    unread = {each.measure.words for each in uses(WATCHED, SUMS) if each.usd is None}
    assert unread == {f"logs written to {GROUP}", f"logs kept in {GROUP}", "image sentiment:1f0c2a9", "model data"}


def test_autoscaling_by_a_schedule_has_no_alarms() -> None:
    schedule = [{"name": "night", "schedule": "cron(0 20 * * ? *)", "minCount": 1, "maxCount": 1}]
    serving = {"instances": {"type": "ml.m5.large", "autoscaling": {"maxCount": 2, "schedule": schedule}}}
    scheduled = endpoint(serving, resources=resources("ScalableTarget t"))
    assert not [each for each in uses(scheduled, KEPT) if "alarms" in each.measure.words]
