from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.engine.objects import DIGEST, IMAGE, OTHER_DIGEST, REGISTRY, packaged, resolved, subject

from ephemeral_endpoints.api.v1alpha1.serving import Strategy
from ephemeral_endpoints.engine.names import endpoint_logs, models_of_config, owner_of
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ResourceKind
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.images.policy import images_of
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP, AlarmSpec
from ephemeral_endpoints.features.routing.specs import FUNCTION
from ephemeral_endpoints.features.serving.desired import describe_capacity
from ephemeral_endpoints.features.serving.policy import refusal
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    SCALABLE_TARGET,
    AsynchronousSpec,
    CaptureSpec,
    EndpointConfigSpec,
    EndpointSpec,
    InstanceSpec,
    ModelSpec,
    RolloutSpec,
    ScalableTargetSpec,
    ScalingMetric,
    ScheduledBounds,
    ServerlessSpec,
    TargetTracking,
    VariantSpec,
)
from ephemeral_endpoints.features.subject import Resolved, Subject

BASE = subject().names.base
OTHER_IMAGE = f"{REGISTRY}/models/sentiment:other"
INSTANCES: Mapping[str, Any] = {"type": "ml.m5.large", "count": 2}
TWO: list[Any] = [{"name": "a", "weight": 3}, {"name": "b", "model": {"image": OTHER_IMAGE, "environment": {"B": "1"}}}]


def resources(serving: Mapping[str, Any], **spec: object) -> dict[ResourceKind, list[DesiredResource]]:
    """What is wanted, by kind; the other image has the other digest."""
    one = subject({"serving": serving, **spec})
    found_out = resolved(images=())
    digests = {IMAGE: DIGEST, OTHER_IMAGE: OTHER_DIGEST}
    wanted = desired(one, Resolved(digests, found_out.token_sha256, found_out.api, owns_path=True))
    assert not wanted.keep_kinds
    assert len({resource.key for resource in wanted.resources}) == len(wanted.resources)
    by_kind: dict[ResourceKind, list[DesiredResource]] = {}
    for resource in wanted.resources:
        by_kind.setdefault(resource.key.kind, []).append(resource)
    return by_kind


def specs(found: list[DesiredResource]) -> list[Any]:
    return [resource.spec for resource in found]


def test_without_variants_there_is_one_under_a_name_that_stays() -> None:
    found = resources({"serverless": {"provisionedConcurrency": 1}})
    (config,) = specs(found[ENDPOINT_CONFIG])
    (model,) = found[MODEL]
    assert config.variants == (VariantSpec("main", model.key.name, ServerlessSpec(2048, 1, 1)),)
    assert specs(found[ENDPOINT]) == [EndpointSpec(found[ENDPOINT_CONFIG][0].key.name)]


def test_serverless_variants_have_an_endpoint_each_with_its_own_logs_and_alarms() -> None:
    found = resources({"variants": TWO})
    endpoints = {resource.key.name for resource in found[ENDPOINT]}
    assert len(endpoints) == 2
    assert BASE not in endpoints
    assert {owner_of("c1", name) for name in endpoints} == {subject().names.owner}
    assert {Key(LOG_GROUP, endpoint_logs(name)) for name in endpoints} <= {w.key for w in found[LOG_GROUP]}
    configs = {resource.key.name: resource.spec for resource in found[ENDPOINT_CONFIG]}
    served = {configs[resource.spec.config].variants[0].name for resource in found[ENDPOINT]}  # type: ignore[attr-defined]
    assert served == {"a", "b"}
    watched = {(dict(spec.dimensions)["EndpointName"], dict(spec.dimensions)["VariantName"]) for spec in alarms(found)}
    assert {endpoint for endpoint, _ in watched} == endpoints
    assert {variant for _, variant in watched} == {"a", "b"}


def alarms(found: dict[ResourceKind, list[DesiredResource]]) -> list[AlarmSpec]:
    return [spec for spec in specs(found[ALARM]) if isinstance(spec, AlarmSpec)]


def test_variants_on_instances_share_an_endpoint_that_splits_by_weight() -> None:
    found = resources({"instances": INSTANCES, "variants": TWO})
    (endpoint,), (config,) = found[ENDPOINT], found[ENDPOINT_CONFIG]
    assert endpoint.key.name == BASE
    assert isinstance(config.spec, EndpointConfigSpec)
    capacity = InstanceSpec("ml.m5.large", 2)
    assert [(each.name, each.capacity, each.weight) for each in config.spec.variants] == [
        ("a", capacity, 3),
        ("b", capacity, 1),
    ]
    models = {resource.key.name for resource in found[MODEL]}
    assert {each.model for each in config.spec.variants} == models
    assert models_of_config(config.key.name, [*models, f"{BASE}-00000000", f"{BASE}-00000000-00000000"]) == models
    assert len(alarms(found)) == 4


def test_a_variant_says_in_what_its_model_differs() -> None:
    by_image = {spec.image: spec for spec in specs(resources({"variants": TWO})[MODEL])}
    plain, other = (
        by_image[f"{REGISTRY}/models/sentiment@{DIGEST}"],
        by_image[f"{REGISTRY}/models/sentiment@{OTHER_DIGEST}"],
    )
    assert isinstance(plain, ModelSpec)
    assert (plain.environment, other.environment) == ((), (("B", "1"),))


def test_serverless_variants_of_one_model_share_it() -> None:
    assert len(resources({"variants": [{"name": "a"}, {"name": "b"}]})[MODEL]) == 1


def test_shares_of_serverless_variants_are_the_forwarders_alone() -> None:
    before, after = (resources({"variants": [{"name": "a", "weight": weight}, TWO[1]]}) for weight in (1, 9))
    changed = [kind for kind in before if specs(before[kind]) != specs(after[kind])]
    assert changed == [FUNCTION]


def test_an_image_that_is_not_resolved_holds_up_all_that_serves() -> None:
    wanted = desired(subject({"serving": {"variants": TWO}}), resolved(images=(IMAGE,)))
    assert ENDPOINT in wanted.keep_kinds
    assert not [resource for resource in wanted.resources if resource.key.kind in wanted.keep_kinds]


PACKAGE: dict[str, Any] = {"image": None, "package": {"group": "wine", "version": 1}, "environment": {"OWN": "1"}}


def models_of(one: Subject) -> list[DesiredResource]:
    wanted = desired(one, resolved(images=tuple(images_of(one))))
    return [resource for resource in wanted.resources if resource.key.kind is MODEL]


def test_a_model_of_a_package_has_its_content_and_the_variables_of_both() -> None:
    [model] = models_of(packaged(subject({"model": PACKAGE})))
    spec = model.spec
    assert isinstance(spec, ModelSpec)
    assert spec.package is not None
    assert (spec.package.rpartition("/")[2], spec.data_url) == ("1", "s3://bucket/wine/1.tar.gz")
    assert spec.environment == (("FROM", "package"), ("OWN", "1"))
    assert not spec.is_direct


def test_an_approval_renames_no_model_and_another_version_does() -> None:
    one = packaged(subject({"model": PACKAGE}))
    assert one.packaged is not None
    [approved], [direct] = models_of(one), models_of(replace(one, packaged=replace(one.packaged, is_direct=True)))
    assert approved.key == direct.key
    assert approved.spec == direct.spec
    [same_content] = models_of(replace(one, packaged=replace(one.packaged, arn=f"{one.packaged.arn}0")))
    assert same_content.key != approved.key


def test_a_package_that_is_not_resolved_or_is_another_one_holds_up_all_that_serves() -> None:
    one = packaged(subject({"model": PACKAGE}))
    other = subject({"model": {**PACKAGE, "package": {"group": "wine", "version": 2}}})
    for each in (replace(one, packaged=None), replace(other, packaged=one.packaged)):
        wanted = desired(each, resolved())
        assert ENDPOINT in wanted.keep_kinds
        assert images_of(each) == frozenset()


TOO_MANY = (
    "spec.serving asks for up to 4 instances, but the class allows 3: reduce the number of instances or of variants"
)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"allowedTypes": ["ml.t2.*"]}, "the class does not allow ml.m5.large: use one of ml.t2.*"),
        ({"allowedTypes": ["ml.m5.*"]}, None),
        (
            {"maxCount": 3},
            TOO_MANY,
        ),
        ({"maxCount": 4}, None),
    ],
)
def test_a_class_limits_instances(policy: Mapping[str, Any], expected: str | None) -> None:
    one = subject({"serving": {"instances": INSTANCES, "variants": TWO}}, {"instances": policy})
    assert (str(refusal(one)) if refusal(one) else None) == expected
    held = ENDPOINT in desired(one, resolved(images=(IMAGE, OTHER_IMAGE))).keep_kinds
    assert held == (expected is not None)


def test_autoscaling_counts_with_the_most_that_there_may_ever_be() -> None:
    night = {"name": "night", "schedule": "rate(1 day)", "minCount": 1, "maxCount": 7}
    scaling = {"maxCount": 3, "schedule": [night]}
    one = subject(
        {"serving": {"instances": {"type": "ml.m5.large", "autoscaling": scaling}}}, {"instances": {"maxCount": 6}}
    )
    assert "up to 7 instances" in str(refusal(one))


def test_autoscaling_waits_for_the_endpoint_to_be_as_wanted() -> None:
    scaling = {"maxCount": 3, "invocationsPerInstance": 60, "scaleInCooldown": "10m", "scaleOutCooldown": "30s"}
    found = resources({"instances": {"type": "ml.m5.large", "autoscaling": scaling}})
    (target,), (endpoint,) = found[SCALABLE_TARGET], found[ENDPOINT]
    assert target.key.name == f"endpoint/{BASE}/variant/main"
    assert target.after == {endpoint.key}
    assert target.spec == ScalableTargetSpec(
        endpoint=endpoint.key,
        variant="main",
        instance_type="ml.m5.large",
        fixed_bounds=(1, 3),
        tracking=TargetTracking(ScalingMetric.INVOCATIONS, 60, 600, 30),
    )
    assert isinstance(endpoint.spec, EndpointSpec)
    assert endpoint.spec.keeps_counts, "an update must not undo what the load has made of the number"


def test_bounds_that_a_schedule_moves_are_no_drift() -> None:
    night = {"name": "night", "schedule": "rate(1 day)", "minCount": 1, "maxCount": 1}
    serving = {"instances": {"type": "ml.m5.large", "autoscaling": {"maxCount": 3, "schedule": [night]}}}
    (spec,) = specs(resources(serving)[SCALABLE_TARGET])
    assert (spec.fixed_bounds, spec.bounds, spec.tracking) == (None, (1, 3), None)
    assert spec.schedule == (ScheduledBounds("night", "rate(1 day)", "UTC", 1, 1),)


@pytest.mark.parametrize(
    ("rollout", "expected"),
    [
        ({}, (Strategy.ALL_AT_ONCE, None, 0)),
        ({"strategy": "Canary"}, (Strategy.CANARY, 10, 300)),
        ({"strategy": "Linear", "interval": "1m"}, (Strategy.LINEAR, 25, 60)),
        ({"strategy": "Rolling", "stepPercent": 5}, (Strategy.ROLLING, 5, 300)),
    ],
)
def test_a_rollout_on_instances_goes_in_steps_that_alarms_take_back(
    rollout: Mapping[str, Any], expected: tuple[Strategy, int | None, int]
) -> None:
    found = resources({"instances": INSTANCES, "rollout": rollout})
    (endpoint,) = found[ENDPOINT]
    names = tuple(sorted(resource.key.name for resource in found[ALARM]))
    assert isinstance(endpoint.spec, EndpointSpec)
    assert endpoint.spec.rollout == RolloutSpec(*expected, alarms=names)
    assert endpoint.update_needs == {resource.key for resource in found[ALARM]}


def test_without_automatic_rollback_no_alarm_is_waited_for() -> None:
    (endpoint,) = resources({"instances": INSTANCES, "rollout": {"autoRollback": False}})[ENDPOINT]
    assert isinstance(endpoint.spec, EndpointSpec)
    assert endpoint.spec.rollout is not None
    assert (endpoint.spec.rollout.alarms, endpoint.update_needs) == ((), frozenset())


def test_serverless_endpoints_leave_the_rollout_to_sagemaker() -> None:
    (endpoint,) = resources({})[ENDPOINT]
    assert isinstance(endpoint.spec, EndpointSpec)
    assert (endpoint.spec.rollout, endpoint.update_needs) == (None, frozenset())


def test_the_way_of_a_rollout_changes_nothing_that_is_there() -> None:
    one, other = (resources({"instances": INSTANCES, "rollout": {"strategy": each}}) for each in ("Canary", "Linear"))
    assert {kind: specs(found) for kind, found in one.items()} == {kind: specs(found) for kind, found in other.items()}


def test_requests_are_captured_and_queued_as_the_spec_says() -> None:
    asynchronous = {
        "s3Uri": "s3://bucket/x/",
        "maxConcurrencyPerInstance": 4,
        "errorTopicArn": "arn:aws:sns:us-east-1:123456789012:t",
    }
    found = resources(
        {"instances": INSTANCES, "asynchronous": asynchronous}, capture={"s3Uri": "s3://captures", "samplingPercent": 9}
    )
    (config,) = specs(found[ENDPOINT_CONFIG])
    assert config.capture == CaptureSpec("s3://captures", 9)
    assert config.asynchronous == AsynchronousSpec(
        output_s3_uri=f"s3://bucket/x/{BASE}/results/",
        failure_s3_uri=f"s3://bucket/x/{BASE}/failures/",
        max_concurrency_per_instance=4,
        error_topic_arn="arn:aws:sns:us-east-1:123456789012:t",
    )


def test_the_forwarder_changes_only_to_endpoints_that_serve_and_holds_on_to_those_it_leaves() -> None:
    found = resources({"variants": TWO})
    (function,) = found[FUNCTION]
    assert function.update_needs == {resource.key for resource in found[ENDPOINT]}
    assert function.replaces == {ENDPOINT}
    assert not function.needs & function.update_needs, "it is made while the endpoints are"


@pytest.mark.parametrize(
    ("serving", "expected"),
    [
        ({}, "serverless 2048 MB x 1"),
        ({"instances": INSTANCES}, "ml.m5.large x 2"),
        ({"instances": INSTANCES, "variants": TWO}, "2 variants, each ml.m5.large x 2"),
    ],
)
def test_what_it_runs_on_in_words(serving: Mapping[str, Any], expected: str) -> None:
    assert describe_capacity(subject({"serving": serving})) == expected
