from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.capacity.cost import (
    Capacities,
    HourlyCost,
    amount,
    capacities,
    hourly_cost,
    of_build,
    of_serverless_requests,
    running_capacity,
    usd,
)
from ephemeral_endpoints.features.capacity.prices import PROVISIONED, VOLUME, Price, Unit
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    EndpointConfigSpec,
    InstanceSpec,
    ServerlessSpec,
    VariantSpec,
)

PRICES = {
    type_: Price(Decimal(usd), Unit.HOUR, "2026", "a test")
    for type_, usd in (("ml.t2.medium", "0.056"), ("ml.m5.large", "0.115"), ("ml.g4dn.xlarge", "0.736"))
}
SERVERLESS = ServerlessSpec(2048, 5)
KEPT_WARM = ServerlessSpec(2048, 5, provisioned_concurrency=2)
LARGE, TWO_MEDIUM, OTHER = InstanceSpec("ml.m5.large", 1), InstanceSpec("ml.t2.medium", 2), InstanceSpec("ml.x.y", 1)


@dataclass(frozen=True, kw_only=True)
class Case:
    asked: Capacities
    prices: dict[str, str]
    hourly: str | None
    words: str


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case(asked=(), prices={}, hourly="0.00", words="nothing"), id="nothing stands"),
        pytest.param(
            Case(asked=(SERVERLESS,), prices={}, hourly="0.00", words="nothing"), id="serverless capacity costs by use"
        ),
        pytest.param(
            Case(asked=(LARGE,), prices={}, hourly="0.115", words="$0.115 an hour (1 x ml.m5.large)"),
            id="three decimals as they are",
        ),
        pytest.param(
            Case(asked=(LARGE, LARGE), prices={}, hourly="0.23", words="$0.23 an hour (2 x ml.m5.large)"),
            id="variants add up",
        ),
        pytest.param(
            Case(
                asked=(LARGE, TWO_MEDIUM),
                prices={},
                hourly="0.227",
                words="$0.227 an hour (1 x ml.m5.large, 2 x ml.t2.medium)",
            ),
            id="so do types",
        ),
        pytest.param(
            Case(
                asked=(LARGE,),
                prices={"ml.m5.large": "0.13801"},
                hourly="0.138",
                words="$0.138 an hour (1 x ml.m5.large)",
            ),
            id="the class knows better",
        ),
        pytest.param(
            Case(asked=(OTHER,), prices={"ml.x.y": "12"}, hourly="12.00", words="$12.00 an hour (1 x ml.x.y)"),
            id="the class adds a type",
        ),
        pytest.param(
            Case(
                asked=(OTHER, LARGE),
                prices={},
                hourly=None,
                words="an unknown amount, because the class has no price for ml.x.y (1 x ml.m5.large, 1 x ml.x.y)",
            ),
            id="half a sum would mislead",
        ),
        pytest.param(
            Case(
                asked=(InstanceSpec("ml.t2.medium", 2, fallback_types=("ml.g4dn.xlarge", "ml.m5.large")), LARGE),
                prices={},
                hourly="1.587",
                words="at most $1.587 an hour (2 x ml.g4dn.xlarge, 1 x ml.m5.large)",
            ),
            id="the dearest of those that may run",
        ),
        pytest.param(
            Case(
                asked=(InstanceSpec("ml.m5.large", 1, fallback_types=("ml.x.y",)),),
                prices={},
                hourly=None,
                words="an unknown amount, because the class has no price for ml.x.y (1 x ml.x.y)",
            ),
            id="what may run without a price may be dear",
        ),
        pytest.param(
            Case(
                asked=(KEPT_WARM,),
                prices={},
                hourly=None,
                words="an unknown amount, because the class has no price for provisioned concurrency "
                "(2 x provisioned concurrency)",
            ),
            id="capacity that is kept warm is paid for",
        ),
    ],
)
def test_what_capacity_costs(case: Case) -> None:
    own = {type_: Price(Decimal(price), Unit.HOUR, "2026", "a test") for type_, price in case.prices.items()}
    found = hourly_cost(case.asked, {**PRICES, **own})
    assert found.hourly == case.hourly
    assert str(found) == case.words


@given(st.lists(st.builds(InstanceSpec, st.sampled_from(sorted(PRICES)), st.integers(1, 100)), max_size=5))
def test_an_hourly_cost_is_the_sum_of_its_parts(asked: list[InstanceSpec]) -> None:
    together = hourly_cost(asked, PRICES)
    assert together.usd == sum((hourly_cost([each], PRICES).usd for each in asked), Decimal(0))
    assert together.hourly is not None
    assert Decimal(together.hourly) == together.usd


@given(st.decimals(0, 9999, places=6))
def test_amounts_have_two_to_four_decimals(usd: Decimal) -> None:
    decimals = amount(usd).partition(".")[2]
    assert 2 <= len(decimals) <= 4
    assert abs(Decimal(amount(usd)) - usd) <= Decimal("0.00005")


def endpoint(phase: Phase, *configs: str) -> ObservedResource:
    uses = frozenset(Key(ENDPOINT_CONFIG, name) for name in configs) | {Key(LOG_GROUP, "logs")}
    return ObservedResource(Key(ENDPOINT, "e"), phase, uses=uses)


KNOWN: dict[str, Capacities] = {"old": (LARGE,), "new": (TWO_MEDIUM,)}


@pytest.mark.parametrize(
    ("observed_resources", "expected", "reason"),
    [
        ([], (), "nothing is there"),
        ([ObservedResource(Key(MODEL, "m"), Phase.READY)], (), "a model costs nothing"),
        ([endpoint(Phase.READY, "old")], (LARGE,), "what serves"),
        ([endpoint(Phase.BUSY, "old")], (LARGE,), "what is made stands already"),
        ([endpoint(Phase.BUSY, "old", "new")], (TWO_MEDIUM, LARGE), "during a change both do"),
        ([endpoint(Phase.FAILED, "old")], (), "what failed stands no more"),
        ([endpoint(Phase.READY, "unknown")], None, "nobody knows what an earlier process asked for"),
        (
            [endpoint(Phase.READY, "old"), replace(endpoint(Phase.READY, "new"), key=Key(ENDPOINT, "f"))],
            (LARGE, TWO_MEDIUM),
            "every variant's endpoint",
        ),
    ],
)
def test_what_stands(observed_resources: list[ObservedResource], expected: Capacities | None, reason: str) -> None:
    assert running_capacity({observed.key: observed for observed in observed_resources}, KNOWN) == expected, reason


def test_what_a_configuration_asks_for() -> None:
    config = EndpointConfigSpec((VariantSpec("a", "m", LARGE), VariantSpec("b", "n", SERVERLESS)))
    assert capacities(config) == (LARGE, SERVERLESS)
    assert HourlyCost().hourly == "0.00"


def test_a_volume_is_part_of_the_cost_where_its_price_is_known_and_no_reason_to_say_nothing_where_it_is_not() -> None:
    asked = [InstanceSpec("ml.m5.large", 2, volume_size_gb=73)]
    assert hourly_cost(asked, PRICES).hourly == "0.23"
    known = hourly_cost(asked, {**PRICES, VOLUME: Price(Decimal("0.1"), Unit.GB_MONTH, "2026", "a test")})
    assert known.hourly == "0.25"
    assert str(known) == "$0.25 an hour (2 x ml.m5.large, 146 GB of volumes)"
    assert [each.formula for each in known.parts] == ["2 x $0.115 per hour", "146 x $0.1 per GB-month / 730"]


def test_capacity_that_is_kept_warm_is_charged_by_its_memory() -> None:
    price = Price(Decimal("0.000005"), Unit.GB_SECOND, "2026", "a test")
    found = hourly_cost([KEPT_WARM, KEPT_WARM], {PROVISIONED: price})
    assert found.hourly == "0.144", "two times two of 2 GB, for 3600 seconds"
    assert [each.formula for each in found.parts] == ["8 x $0.000005 per GB-second x 3600"]


@pytest.mark.parametrize("text", [None, "", "NaN", "-1", "1e9", "Infinity", "rm -rf"])
def test_nonsense_is_no_amount(text: str | None) -> None:
    assert usd(text) is None


def test_requests_of_serverless_endpoints_cost_by_memory_and_time() -> None:
    price = Price(Decimal("0.00002"), Unit.GB_SECOND, "2026", "a test")
    assert of_serverless_requests(1000, 2048, 0.5, {"serverless": price}) == Decimal("0.02")
    assert of_serverless_requests(1000, 2048, 0.5, {}) is None


@pytest.mark.parametrize(
    ("seconds", "usd"),
    [
        pytest.param(0.0, "0", id="it never ran"),
        pytest.param(1.0, "0.005", id="a minute that has begun"),
        pytest.param(60.0, "0.005", id="a whole minute"),
        pytest.param(60.5, "0.010", id="another one has begun"),
    ],
)
def test_what_a_build_costs(seconds: float, usd: str) -> None:
    assert of_build(seconds, "0.005") == Decimal(usd)
