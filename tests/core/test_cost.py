from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.core.cost import PRICES, Bill, Capacities, amount, bill, capacities, of_build, standing
from ephemeral_endpoints.core.resources import (
    EndpointConfigSpec,
    Have,
    InstanceSpec,
    Key,
    Kind,
    Phase,
    ServerlessSpec,
    VariantSpec,
)

SERVERLESS = ServerlessSpec(2048, 5)
KEPT_WARM = ServerlessSpec(2048, 5, provisioned_concurrency=2)
LARGE, TWO_MEDIUM, OTHER = InstanceSpec("ml.m5.large", 1), InstanceSpec("ml.t2.medium", 2), InstanceSpec("ml.x.y", 1)


@pytest.mark.parametrize(
    ("asked", "prices", "hourly", "words", "reason"),
    [
        ((), {}, "0.00", "nothing", "nothing stands"),
        ((SERVERLESS,), {}, "0.00", "nothing", "serverless capacity costs by use"),
        ((LARGE,), {}, "0.115", "$0.115 an hour (1 x ml.m5.large)", "three decimals as they are"),
        ((LARGE, LARGE), {}, "0.23", "$0.23 an hour (2 x ml.m5.large)", "variants add up"),
        ((LARGE, TWO_MEDIUM), {}, "0.227", "$0.227 an hour (1 x ml.m5.large, 2 x ml.t2.medium)", "so do types"),
        ((LARGE,), {"ml.m5.large": "0.13801"}, "0.138", "$0.138 an hour (1 x ml.m5.large)", "the class knows better"),
        ((OTHER,), {"ml.x.y": "12"}, "12.00", "$12.00 an hour (1 x ml.x.y)", "the class adds a type"),
        (
            (OTHER, LARGE),
            {},
            None,
            "what the class's prices do not tell of ml.x.y (1 x ml.m5.large, 1 x ml.x.y)",
            "half a sum would mislead",
        ),
        (
            (KEPT_WARM,),
            {},
            None,
            "what the class's prices do not tell of provisioned concurrency (2 x provisioned concurrency)",
            "capacity that is kept warm is paid for",
        ),
    ],
)
def test_what_capacity_costs(
    asked: Capacities, prices: dict[str, str], hourly: str | None, words: str, reason: str
) -> None:
    found = bill(asked, {type_: Decimal(price) for type_, price in prices.items()})
    assert found.hourly == hourly, reason
    assert str(found) == words, reason


@given(st.lists(st.builds(InstanceSpec, st.sampled_from(sorted(PRICES)), st.integers(1, 100)), max_size=5))
def test_a_bill_is_the_sum_of_its_parts(asked: list[InstanceSpec]) -> None:
    together = bill(asked, {})
    assert together.usd == sum((bill([each], {}).usd for each in asked), Decimal(0))
    assert together.hourly is not None
    assert Decimal(together.hourly) == together.usd


@given(st.decimals(0, 9999, places=6))
def test_amounts_have_two_to_four_decimals(usd: Decimal) -> None:
    decimals = amount(usd).partition(".")[2]
    assert 2 <= len(decimals) <= 4
    assert abs(Decimal(amount(usd)) - usd) <= Decimal("0.00005")


def endpoint(phase: Phase, *configs: str) -> Have:
    uses = frozenset(Key(Kind.ENDPOINT_CONFIG, name) for name in configs) | {Key(Kind.LOG_GROUP, "logs")}
    return Have(Key(Kind.ENDPOINT, "e"), phase, uses=uses)


KNOWN: dict[str, Capacities] = {"old": (LARGE,), "new": (TWO_MEDIUM,)}


@pytest.mark.parametrize(
    ("haves", "expected", "reason"),
    [
        ([], (), "nothing is there"),
        ([Have(Key(Kind.MODEL, "m"), Phase.READY)], (), "a model costs nothing"),
        ([endpoint(Phase.READY, "old")], (LARGE,), "what serves"),
        ([endpoint(Phase.BUSY, "old")], (LARGE,), "what is made stands already"),
        ([endpoint(Phase.BUSY, "old", "new")], (TWO_MEDIUM, LARGE), "during a change both do"),
        ([endpoint(Phase.FAILED, "old")], (), "what failed stands no more"),
        ([endpoint(Phase.READY, "unknown")], None, "nobody knows what an earlier process asked for"),
        (
            [endpoint(Phase.READY, "old"), replace(endpoint(Phase.READY, "new"), key=Key(Kind.ENDPOINT, "f"))],
            (LARGE, TWO_MEDIUM),
            "every variant's endpoint",
        ),
    ],
)
def test_what_stands(haves: list[Have], expected: Capacities | None, reason: str) -> None:
    assert standing({have.key: have for have in haves}, KNOWN) == expected, reason


def test_what_a_configuration_asks_for() -> None:
    config = EndpointConfigSpec((VariantSpec("a", "m", LARGE), VariantSpec("b", "n", SERVERLESS)))
    assert capacities(config) == (LARGE, SERVERLESS)
    assert Bill().hourly == "0.00"


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
