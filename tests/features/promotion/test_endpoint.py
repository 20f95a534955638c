from typing import Any

import pytest

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage, ModelStageSpec
from ephemeral_endpoints.features.expiry.policy import is_of_stage
from ephemeral_endpoints.features.promotion.endpoint import desired_spec, manifest, observed, version_of
from ephemeral_endpoints.features.promotion.policy import Endpoint
from ephemeral_endpoints.features.promotion.versions import Version

V7 = Version("wine", 7)
CHECKS: Any = [{"name": "answers", "request": {"body": "{}"}}]
STAGE = ModelStage.model_validate(
    {
        "metadata": {"name": "staging", "namespace": "nlp", "uid": "u"},
        "spec": {
            "className": "production",
            "repository": "acme/wine",
            "source": {"group": "wine"},
            "template": {"spec": {"checks": CHECKS, "environment": {"A": "1"}}},
        },
    }
)


def endpoint(
    *conditions: tuple[str, str, str], generation: int = 2, revision: str = "0000007", message: str = "m"
) -> EphemeralEndpoint:
    made = manifest(STAGE, desired_spec(STAGE, V7, None))
    told = [
        {
            "type": type_,
            "status": status,
            "reason": reason,
            "message": message,
            "observedGeneration": generation,
            "lastTransitionTime": "2026-12-01T12:00:00Z",
        }
        for type_, status, reason in conditions
    ]
    metadata = {**made["metadata"], "generation": 2}
    return EphemeralEndpoint.model_validate(
        {**made, "metadata": metadata, "status": {"conditions": told, "revision": revision}}
    )


READY = ("Ready", "True", "Serving")
PASSED = ("ChecksPassed", "True", "ChecksPassed")


def test_the_endpoint_serves_the_package_as_the_template_says_and_has_no_end() -> None:
    spec = desired_spec(STAGE, V7, "1f0c2a9")
    assert (spec.class_name, spec.source.revision, spec.model.environment) == ("production", "1f0c2a9", {"A": "1"})
    assert version_of(endpoint()) == V7
    assert is_of_stage(endpoint().metadata)


def test_values_of_configmaps_and_results_are_of_the_template_too() -> None:
    variable = {"name": "PROMPT", "configMapKeyRef": {"name": "prompts", "key": "system"}}
    template = {"spec": {"environmentFrom": [variable], "results": {"includeRequest": True}}}
    stage = STAGE.model_copy(
        update={"spec": ModelStageSpec.model_validate({**STAGE.spec.to_wire(), "template": template})}
    )
    spec = desired_spec(stage, V7, None).to_wire()
    assert spec["model"]["environmentFrom"] == [variable]
    assert spec["results"] == {"includeRequest": True}


def test_what_is_written_has_no_empty_lists_which_rules_would_take_for_given() -> None:
    def lists(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON
        if isinstance(value, dict):
            return [found for each in value.values() for found in lists(each)]
        return [value, *(found for each in value for found in lists(each))] if isinstance(value, list) else []

    assert all(lists(manifest(STAGE, desired_spec(STAGE, V7, None))))


@pytest.mark.parametrize(
    ("made", "expected", "reason"),
    [
        (endpoint(READY, PASSED), Endpoint(V7, is_rolled_out=True, is_verified=True), "it serves, and passes"),
        (endpoint(READY, PASSED, generation=1), Endpoint(V7), "what is told of the spec before is no proof"),
        (endpoint(READY, PASSED, revision="0000006"), Endpoint(V7), "the version before serves still"),
        (endpoint(READY), Endpoint(V7, is_rolled_out=True), "the checks have no result yet"),
        (
            endpoint(READY, ("ChecksPassed", "Unknown", "ChecksInconclusive")),
            Endpoint(V7, is_rolled_out=True, unclear="m"),
            "they could not be carried out",
        ),
        (
            endpoint(READY, ("ChecksPassed", "False", "ChecksFailed")),
            Endpoint(V7, is_rolled_out=True, failure="ChecksFailed: m"),
            "they failed",
        ),
        (
            endpoint(("Ready", "False", "RolledBack"), ("Stalled", "True", "RolledBack")),
            Endpoint(V7, failure="RolledBack: m"),
            "an alarm ended the rollout",
        ),
        (
            endpoint(
                ("Ready", "False", "RolledBack"),
                ("Stalled", "True", "RolledBack"),
                message="alarm errors went off; last lines of the log: Traceback | File 'a' | ValueError: b | bye",
            ),
            Endpoint(V7, failure="RolledBack: alarm errors went off; last lines of the log: ValueError: b"),
            "of a traceback the history has what matters",
        ),
        (endpoint(("Ready", "False", "Updating")), Endpoint(V7), "it is being rolled out"),
        (None, Endpoint(), "there is none"),
    ],
)
def test_what_became_of_an_endpoint(made: EphemeralEndpoint | None, expected: Endpoint, reason: str) -> None:
    assert observed(made) == expected, reason
