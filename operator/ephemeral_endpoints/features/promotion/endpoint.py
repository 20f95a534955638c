"""The endpoint of a stage: what it should be, and what became of it. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from ephemeral_endpoints.api import API_VERSION, MANAGED_BY_LABEL, MANAGER
from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint, EphemeralEndpointSpec
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage
from ephemeral_endpoints.engine.conditions import ConditionStatus, ConditionType
from ephemeral_endpoints.engine.log_lines import summarized
from ephemeral_endpoints.features.checks import reasons as checks
from ephemeral_endpoints.features.promotion.policy import Endpoint
from ephemeral_endpoints.features.promotion.versions import Version

_SHORTEST_REVISION: Final = 7


def desired_spec(stage: ModelStage, version: Version, revision: str | None) -> EphemeralEndpointSpec:
    """The spec of the endpoint with a version, which was made from a commit.

    Without a commit the number of the version takes its place: whatever happens once for a revision, such as checks,
    happens once for a version.
    """
    spec = stage.spec
    template = spec.template.spec.to_wire()
    environment = {name: template.pop(name) for name in ("environment", "environmentFrom") if name in template}
    return EphemeralEndpointSpec.model_validate(
        {
            **template,
            "className": spec.class_name,
            "source": {
                "repository": spec.repository,
                "revision": revision or str(version.number).zfill(_SHORTEST_REVISION),
            },
            "model": {
                "package": {"group": version.group, "version": version.number},
                **environment,
            },
        }
    )


def manifest(stage: ModelStage, spec: EphemeralEndpointSpec) -> Mapping[str, Any]:
    """The endpoint as it is created: Kubernetes deletes it with its stage."""
    metadata = stage.metadata
    owner = {
        "apiVersion": stage.api_version,
        "kind": stage.kind,
        "name": metadata.name,
        "uid": metadata.uid,
        "controller": True,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": ENDPOINT.name,
        "metadata": {
            "name": metadata.name,
            "namespace": metadata.namespace,
            "labels": {MANAGED_BY_LABEL: MANAGER},
            "ownerReferences": [owner],
        },
        "spec": written(spec),
    }


def written(spec: EphemeralEndpointSpec) -> dict[str, Any]:
    """The spec as it is written: rules of the API server take an empty list for one that somebody gave."""
    without: dict[str, Any] = _without_empty_lists(spec.to_wire())
    return without


def _without_empty_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_empty_lists(each) for name, each in value.items() if each != []}
    return [_without_empty_lists(each) for each in value] if isinstance(value, list) else value


def version_of(endpoint: EphemeralEndpoint) -> Version | None:
    """The version that the spec of an endpoint names."""
    package = endpoint.spec.model.package
    return Version(package.group, package.version) if package and package.group and package.version else None


def observed(endpoint: EphemeralEndpoint | None) -> Endpoint:
    """What became of the endpoint, by the conditions of its present spec."""
    if endpoint is None:
        return Endpoint()
    version = version_of(endpoint)
    ready, stalled = _current(endpoint, ConditionType.READY), _current(endpoint, ConditionType.STALLED)
    if _is(stalled, ConditionStatus.TRUE):
        # The endpoint's condition has all of what the model wrote; a history is read line by line.
        return Endpoint(version, failure=f"{stalled.reason}: {summarized(stalled.message)}" if stalled else "")
    if not _is(ready, ConditionStatus.TRUE) or endpoint.status.revision != endpoint.revision:
        return Endpoint(version)
    return _checked(endpoint, version)


def _checked(endpoint: EphemeralEndpoint, version: Version | None) -> Endpoint:
    """The result of the checks of an endpoint that serves."""
    passed = _current(endpoint, checks.CHECKS_PASSED)
    if not endpoint.spec.checks or _is(passed, ConditionStatus.TRUE):
        return Endpoint(version, is_rolled_out=True, is_verified=True)
    if passed and _is(passed, ConditionStatus.FALSE):
        return Endpoint(version, is_rolled_out=True, failure=f"{passed.reason}: {passed.message}")
    is_unclear = passed is not None and passed.reason == checks.INCONCLUSIVE.name
    return Endpoint(version, is_rolled_out=True, unclear=passed.message if passed and is_unclear else "")


def _current(endpoint: EphemeralEndpoint, type_: str) -> Condition | None:
    """The condition, if it is about the present spec."""
    generation = endpoint.metadata.generation
    found = (each for each in endpoint.status.conditions if each.type == type_)
    return next((each for each in found if each.observed_generation == generation), None)


def _is(condition: Condition | None, status: ConditionStatus) -> bool:
    return condition is not None and condition.status == status.value
