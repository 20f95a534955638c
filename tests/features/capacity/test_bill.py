from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine import objects

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.features.capacity.always_on import always_on, asked_cost
from ephemeral_endpoints.features.capacity.bill import By, Grouping, Line, alternatives, lines, total, uncounted
from ephemeral_endpoints.features.capacity.spending import Spent, with_ended
from ephemeral_endpoints.features.subject import Subject

CREATED = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOW = CREATED + timedelta(hours=10)
LARGE = {"hourlyUSD": "0.115", "accruedUSD": "0.10", "monthStartUSD": "0.00", "since": "2026-11-01T12:00:00Z"}
UNKNOWN = {"accruedUSD": "1.00", "monthStartUSD": "0.00", "since": "2026-11-01T12:00:00Z", "unpriced": ["ml.x.y"]}
ON_LARGE = {"instances": {"type": "ml.m5.large"}}


def endpoint(name: str = "a", cost: Mapping[str, Any] | None = LARGE, **spec: Any) -> EphemeralEndpoint:  # noqa: ANN401
    metadata = {"name": name, "creationTimestamp": "2026-11-01T12:00:00Z"}
    status = {"cost": cost, "expiresAt": "2026-11-04T12:00:00Z"}
    return objects.endpoint({"metadata": metadata, "spec": spec, "status": status})


CLASSES = [
    objects.make_class({"metadata": {"name": name}, "spec": {"region": "us-east-1"}})
    for name in ("default", "cpu", "gpu")
]


def test_each_object_has_its_rate_what_it_cost_so_far_and_what_it_saved() -> None:
    asleep = {**LARGE, "hourlyUSD": "0.00"}
    [line] = lines([endpoint(cost=asleep, serving=ON_LARGE, className="default")], CLASSES, By(Grouping.OBJECT), NOW)
    paid = Spent(Decimal("0.10"))
    assert line == Line(f"{endpoint().metadata.namespace}/a", 1, Spent(), paid, paid, Spent(Decimal("1.05")))
    assert line.always_on == Spent(Decimal("0.115") * 10), "since its creation"
    [later] = lines(
        [endpoint(cost=asleep, className="default")], CLASSES, By(Grouping.OBJECT), NOW + timedelta(days=30)
    )
    assert (later.month, later.saved) == (Spent(), Spent()), "nothing for a month in which it did not run"


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (By(Grouping.OBJECT), ["nlp/b", "nlp/a", "nlp/c"]),
        (By(Grouping.REPOSITORY), ["acme/two", "acme/one"]),
        (By(Grouping.OWNER), ["acme"]),
        (By(Grouping.NAMESPACE), ["nlp"]),
        (By(Grouping.CLASS), ["gpu", "cpu"]),
        (By(Grouping.OBJECT, tag="Team"), ["vision", ""]),
    ],
)
def test_groups_come_the_dearest_first(by: By, names: list[str]) -> None:
    dear = {**LARGE, "hourlyUSD": "0.2"}
    found = [
        endpoint("a", source={"repository": "acme/one"}, className="cpu"),
        endpoint("b", dear, source={"repository": "acme/two"}, className="gpu", tags={"Team": "vision"}),
        endpoint("c", {**LARGE, "hourlyUSD": "0.00"}, source={"repository": "Acme/One"}, className="cpu"),
    ]
    found = [
        each.model_copy(update={"metadata": each.metadata.model_copy(update={"namespace": "nlp"})}) for each in found
    ]
    made = lines(found, CLASSES, by, NOW)
    assert [each.name for each in made] == names
    assert total(made).objects == 3
    assert (total(made).hourly.usd, total(made).accrued.usd) == (Decimal("0.315"), Decimal("3.45"))


@pytest.mark.parametrize(
    ("cost", "accrued", "month"),
    [
        pytest.param(UNKNOWN, "1.00", "1.00", id="a price is not known"),
        pytest.param({**LARGE, "incomplete": True}, "1.25", "1.25", id="it was not earlier"),
        pytest.param({"hourlyUSD": "0.115"}, "0", "0", id="of an earlier version"),
        pytest.param({**LARGE, "monthStartUSD": None}, "1.25", "0", id="of which the month is not known"),
        pytest.param(None, "0", "0", id="not reported yet"),
    ],
)
def test_a_sum_with_something_unknown_says_so(cost: Mapping[str, Any] | None, accrued: str, month: str) -> None:
    nothing = {**LARGE, "hourlyUSD": "0.00", "accruedUSD": "0"}
    ends = [endpoint("a", cost, className="default"), endpoint("b", nothing, className="default")]
    found = total(lines(ends, CLASSES, By(Grouping.CLASS), NOW))
    assert (found.accrued.usd, found.month, found.saved) == (
        Decimal(accrued),
        Spent(Decimal(month), is_complete=False),
        Spent(is_complete=False),
    )


def test_without_the_class_it_is_not_known_what_is_saved() -> None:
    [line] = lines([endpoint(className="gone")], CLASSES, By(Grouping.OBJECT), NOW)
    assert (line.month, line.saved) == (Spent(Decimal("1.25")), Spent(is_complete=False))
    assert uncounted(CLASSES) == ["cpu", "default", "gpu"], "they have no budget by the month"


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(1, 90_000), st.booleans()), min_size=1, max_size=8))
def test_what_ends_goes_on_saving_as_if_it_was_asleep(ends: list[tuple[int, int, bool]]) -> None:
    """Exact up to a ten-thousandth of a dollar an object and hour."""
    [endpoint_class] = CLASSES[:1]
    living = [
        objects.endpoint(
            {
                "metadata": {
                    "name": f"o{number}",
                    "uid": f"u{number}",
                    "creationTimestamp": (CREATED - timedelta(hours=hours)).isoformat(),
                },
                "spec": {"serving": ON_LARGE, "className": "default"},
                "status": {"cost": {**LARGE, "hourlyUSD": "0.00", "accruedUSD": str(Decimal(units) / 10_000)}},
            }
        )
        for number, (hours, units, _) in enumerate(ends)
    ]
    ended = None
    for each, (_, _, is_gone) in zip(living, ends, strict=True):
        if is_gone:
            stays = always_on(Subject("", each, endpoint_class), CREATED)
            ended = with_ended(ended, each, CREATED, still_there=frozenset(), always_on=stays)
    status = endpoint_class.status.model_copy(update={"ended_costs": ended})
    after = [endpoint_class.model_copy(update={"status": status})]
    left = [each for each, (_, _, is_gone) in zip(living, ends, strict=True) if not is_gone]
    late = CREATED + timedelta(days=20)
    expected, found = (
        total(lines(given, classes, By(Grouping.REPOSITORY), late))
        for given, classes in ((living, CLASSES[:1]), (left, after))
    )
    assert found.month == expected.month
    assert found.saved.is_complete
    assert abs(found.saved.usd - expected.saved.usd) <= Decimal("0.0001") * len(ends)


def test_what_ended_has_lines_of_its_own_and_counts_in_its_namespace_only() -> None:
    [endpoint_class] = CLASSES[:1]
    gone = endpoint("a", className="default", serving=ON_LARGE)
    status = {"endedCosts": with_ended(None, gone, NOW, still_there=frozenset()).to_wire()}
    endpoint_class = objects.make_class({"metadata": {"name": "default"}, "spec": {}, "status": status})
    of_gone = Line("", month=Spent(Decimal("1.25")), saved=Spent(is_complete=False))
    namespace, repository = gone.metadata.namespace, gone.spec.source.repository
    for by, name in (
        (By(Grouping.OBJECT), f"{namespace}/ended objects {repository}"),
        (By(Grouping.CLASS), "default"),
        (By(Grouping.NAMESPACE), namespace),
        (By(Grouping.OBJECT, tag="Team"), "ended objects"),
    ):
        assert lines([], [endpoint_class], by, NOW) == [replace(of_gone, name=name or "")]
    assert lines([], [endpoint_class], By(Grouping.CLASS), NOW, namespace="elsewhere") == []
    assert lines([], [endpoint_class], By(Grouping.CLASS), NOW + timedelta(days=30)) == [], "another month"
    [still_there] = lines([gone], [endpoint_class], By(Grouping.CLASS), NOW)
    assert (still_there.objects, still_there.month.usd) == (0, Decimal("1.25")), "its finalizer is not removed yet"


def subject(instances: Mapping[str, Any] | None, spec: Mapping[str, Any] = {}, **serving: Any) -> Subject:  # noqa: ANN401
    asked = {"instances": instances, **serving} if instances else serving
    endpoint_class = objects.make_class({"spec": {"region": "us-east-1", **spec}})
    return Subject("c1", endpoint(serving=asked), endpoint_class)


G5 = {"prices": {"ml.g5.xlarge": "1", "ml.g5.2xlarge": "1.5", "ml.g5.4xlarge": "2", "ml.g6.xlarge": "0.5"}}


@pytest.mark.parametrize(
    ("one", "found"),
    [
        pytest.param(
            subject({"type": "ml.g5.4xlarge"}, G5),
            [("ml.g5.xlarge", "$1 instead of $2 per hour and instance")],
            id="the cheapest of its family, and nothing serverless for a GPU",
        ),
        pytest.param(
            subject({"type": "ml.g5.4xlarge"}, {**G5, "instances": {"allowedTypes": ["ml.g5.4*", "ml.g5.2*"]}}),
            [("ml.g5.2xlarge", "$1.5 instead of $2 per hour and instance")],
            id="that the class allows",
        ),
        pytest.param(
            subject({"type": "ml.m5.large"}),
            [
                (
                    "serverless, 6 GB",
                    "less while it computes less than 958 s an hour: $0.115 / (6 x $0.00002 per GB-second)",
                )
            ],
            id="serverless up to where it costs as much",
        ),
        pytest.param(subject({"type": "ml.m5.large"}, {"region": "eu-central-1"}), [], id="nothing is known there"),
        pytest.param(subject({"type": "ml.x9.large"}), [], id="its own price is not known"),
        pytest.param(subject(None), [], id="serverless already"),
        pytest.param(subject({"type": "ml.m5.large", "fallbackTypes": ["ml.m5.xlarge"]}), [], id="any of several"),
    ],
)
def test_what_would_cost_less(one: Subject, found: list[tuple[str, str]]) -> None:
    assert [(each.words, each.arithmetic) for each in alternatives(one)] == found


def test_variants_have_the_capacity_of_the_object_each() -> None:
    variants: list[dict[str, Any]] = [{"name": name, "weight": 1, "model": {}} for name in ("a", "b")]
    assert asked_cost(subject({"type": "ml.m5.large", "count": 2}, variants=variants)).hourly == "0.46"
