from typing import Any

import pytest
from tests.engine.objects import ENDPOINT, merged

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.features.capacity.service_quotas import demand, judged, quota_name

LARGE, MEDIUM = "ml.m5.large", "ml.t2.medium"


def asking(serving: dict[str, Any], **spec: Any) -> EphemeralEndpoint:  # noqa: ANN401 - members of a spec
    return EphemeralEndpoint.model_validate(merged(ENDPOINT, {"spec": {"serving": serving, **spec}}))


@pytest.mark.parametrize(
    ("quotas", "asked", "status", "reason"),
    [
        ({LARGE: 2.0}, {LARGE: 2}, "False", "it just suffices"),
        ({LARGE: 2.0}, {LARGE: 3}, "True", "it does not"),
        ({LARGE: 9.0, MEDIUM: 0.0}, {LARGE: 1, MEDIUM: 1}, "True", "one of two does not"),
        ({LARGE: 0.0}, {MEDIUM: 1}, None, "nothing is known of the type, and another one does not matter"),
        ({}, {LARGE: 1}, None, "nothing is known at all"),
        ({LARGE: 0.0}, {}, None, "no object uses instances"),
    ],
)
def test_a_quota_is_low_when_less_than_the_objects_ask_for(
    quotas: dict[str, float], asked: dict[str, int], status: str | None, reason: str
) -> None:
    found = judged({quota_name(type_): value for type_, value in quotas.items()}, asked)
    assert (found.status.value if found else None) == status, reason


def test_objects_ask_for_the_preferred_type_for_each_variant() -> None:
    instances = {"instances": {"type": LARGE, "fallbackTypes": [MEDIUM], "count": 2}}
    variants = {**instances, "variants": [{"name": "a"}, {"name": "b"}]}
    suspended = asking(instances, suspend=True)
    assert demand([asking(instances), asking(variants), asking({}), suspended]) == {LARGE: 6}
