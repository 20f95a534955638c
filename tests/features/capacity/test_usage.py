from decimal import Decimal
from typing import Any

import pytest
from tests.engine.objects import ENDPOINT, merged

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.features.capacity.prices import Prices, of_region
from ephemeral_endpoints.features.capacity.usage import Metric, Use, measures, used

PRICES = of_region("us-east-1")
FUNCTION = (("FunctionName", "eep-c1-pr-42"),)
CALLS, MILLISECONDS = (Metric("AWS/Lambda", name, FUNCTION) for name in ("Invocations", "Duration"))


def model(endpoint: str = "eep-c1-pr-42", variant: str = "main") -> Metric:
    return Metric("AWS/SageMaker", "ModelLatency", (("EndpointName", endpoint), ("VariantName", variant)))


def endpoint(serving: dict[str, Any], **status: Any) -> EphemeralEndpoint:  # noqa: ANN401 - members of a status
    named = {"endpointName": "eep-c1-pr-42", **status}
    return EphemeralEndpoint.model_validate(merged(ENDPOINT, {"spec": {"serving": serving}, "status": named}))


TWO_GB = endpoint({"serverless": {"memorySizeMB": 2048}})
SUMS = {CALLS: Decimal(2_000_000), MILLISECONDS: Decimal(40_000_000), model(): Decimal(3_000_000_000)}


def test_what_is_used_is_counted_times_its_price() -> None:
    found = used(measures(TWO_GB, 512), SUMS, PRICES)
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


def last(one: EphemeralEndpoint, sums: dict[Metric, Decimal | None], prices: Prices) -> Use:
    return used(measures(one, 512), sums, prices)[-1]


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
    one: EphemeralEndpoint,
    sums: dict[Metric, Decimal | None],
    prices: Prices,
    usd: Decimal | None,
    formula: str,
) -> None:
    found = last(one, sums, prices)
    assert (found.usd, found.formula) == (usd, formula)


def test_each_serverless_variant_counts_by_itself_and_instances_do_not_count_by_use() -> None:
    served = [{"name": name, "weight": 1, "endpointName": f"eep-c1-pr-42-{name}"} for name in ("a", "b")]
    several = endpoint({"serverless": {}, "variants": [{"name": "a"}, {"name": "b"}]}, variants=served)
    assert {each.metric for each in measures(several, 512)} >= {
        model("eep-c1-pr-42-a", "a"),
        model("eep-c1-pr-42-b", "b"),
    }
    on_instances = endpoint({"instances": {"type": "ml.m5.large"}})
    assert {each.metric for each in measures(on_instances, 512)} == {CALLS, MILLISECONDS}


def test_before_the_operator_has_named_anything_there_is_nothing_to_count() -> None:
    assert measures(EphemeralEndpoint.model_validate(ENDPOINT), 512) == ()
