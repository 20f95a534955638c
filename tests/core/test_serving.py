from collections.abc import Mapping
from typing import Any

import pytest
from tests.core.objects import DIGEST, IMAGE, OTHER_DIGEST, REGISTRY, resolved, subject

from ephemeral_endpoints.api.serving import Strategy
from ephemeral_endpoints.core.desired import Resolved, desired
from ephemeral_endpoints.core.names import endpoint_logs, models_of_config, owner_of
from ephemeral_endpoints.core.resources import (
    AlarmSpec,
    AsynchronousSpec,
    CaptureSpec,
    EndpointConfigSpec,
    EndpointSpec,
    InstanceSpec,
    Key,
    Kind,
    ModelSpec,
    RolloutSpec,
    ScalableTargetSpec,
    ScalingMetric,
    ScheduledBounds,
    ServerlessSpec,
    TargetTracking,
    VariantSpec,
    Want,
)

BASE = subject().names.base
OTHER_IMAGE = f"{REGISTRY}/models/sentiment:other"
INSTANCES: Mapping[str, Any] = {"type": "ml.m5.large", "count": 2}
TWO: list[Any] = [{"name": "a", "weight": 3}, {"name": "b", "model": {"image": OTHER_IMAGE, "environment": {"B": "1"}}}]


def wants(serving: Mapping[str, Any], **spec: object) -> dict[Kind, list[Want]]:
    """What is wanted, by kind; the other image has the other digest."""
    one = subject({"serving": serving, **spec})
    found_out = resolved(images=())
    digests = {IMAGE: DIGEST, OTHER_IMAGE: OTHER_DIGEST}
    wanted = desired(one, Resolved(digests, found_out.token_sha256, found_out.api, owns_path=True))
    assert not wanted.hold
    assert len({want.key for want in wanted.wants}) == len(wanted.wants)
    by_kind: dict[Kind, list[Want]] = {}
    for want in wanted.wants:
        by_kind.setdefault(want.key.kind, []).append(want)
    return by_kind


def specs(found: list[Want]) -> list[Any]:
    return [want.spec for want in found]


def test_without_variants_there_is_one_under_a_name_that_stays() -> None:
    found = wants({"serverless": {"provisionedConcurrency": 1}})
    (config,) = specs(found[Kind.ENDPOINT_CONFIG])
    (model,) = found[Kind.MODEL]
    assert config.variants == (VariantSpec("main", model.key.name, ServerlessSpec(2048, 1, 1)),)
    assert specs(found[Kind.ENDPOINT]) == [EndpointSpec(found[Kind.ENDPOINT_CONFIG][0].key.name)]


def test_serverless_variants_have_an_endpoint_each_with_its_own_logs_and_alarms() -> None:
    found = wants({"variants": TWO})
    endpoints = {want.key.name for want in found[Kind.ENDPOINT]}
    assert len(endpoints) == 2
    assert BASE not in endpoints
    assert {owner_of("c1", name) for name in endpoints} == {subject().names.owner}
    assert {Key(Kind.LOG_GROUP, endpoint_logs(name)) for name in endpoints} <= {w.key for w in found[Kind.LOG_GROUP]}
    configs = {want.key.name: want.spec for want in found[Kind.ENDPOINT_CONFIG]}
    served = {configs[want.spec.config].variants[0].name for want in found[Kind.ENDPOINT]}  # type: ignore[union-attr]
    assert served == {"a", "b"}
    watched = {(dict(spec.dimensions)["EndpointName"], dict(spec.dimensions)["VariantName"]) for spec in alarms(found)}
    assert {endpoint for endpoint, _ in watched} == endpoints
    assert {variant for _, variant in watched} == {"a", "b"}


def alarms(found: dict[Kind, list[Want]]) -> list[AlarmSpec]:
    return [spec for spec in specs(found[Kind.ALARM]) if isinstance(spec, AlarmSpec)]


def test_variants_on_instances_share_an_endpoint_that_splits_by_weight() -> None:
    found = wants({"instances": INSTANCES, "variants": TWO})
    (endpoint,), (config,) = found[Kind.ENDPOINT], found[Kind.ENDPOINT_CONFIG]
    assert endpoint.key.name == BASE
    assert isinstance(config.spec, EndpointConfigSpec)
    capacity = InstanceSpec("ml.m5.large", 2)
    assert [(each.name, each.capacity, each.weight) for each in config.spec.variants] == [
        ("a", capacity, 3),
        ("b", capacity, 1),
    ]
    models = {want.key.name for want in found[Kind.MODEL]}
    assert {each.model for each in config.spec.variants} == models
    assert models_of_config(config.key.name, [*models, f"{BASE}-00000000", f"{BASE}-00000000-00000000"]) == models
    assert len(alarms(found)) == 4


def test_a_variant_says_in_what_its_model_differs() -> None:
    by_image = {spec.image: spec for spec in specs(wants({"variants": TWO})[Kind.MODEL])}
    plain, other = (
        by_image[f"{REGISTRY}/models/sentiment@{DIGEST}"],
        by_image[f"{REGISTRY}/models/sentiment@{OTHER_DIGEST}"],
    )
    assert isinstance(plain, ModelSpec)
    assert (plain.environment, other.environment) == ((), (("B", "1"),))


def test_serverless_variants_of_one_model_share_it() -> None:
    assert len(wants({"variants": [{"name": "a"}, {"name": "b"}]})[Kind.MODEL]) == 1


def test_shares_of_serverless_variants_are_the_forwarders_alone() -> None:
    before, after = (wants({"variants": [{"name": "a", "weight": weight}, TWO[1]]}) for weight in (1, 9))
    changed = [kind for kind in before if specs(before[kind]) != specs(after[kind])]
    assert changed == [Kind.FUNCTION]


def test_an_image_that_is_not_resolved_holds_up_all_that_serves() -> None:
    wanted = desired(subject({"serving": {"variants": TWO}}), resolved(images=(IMAGE,)))
    assert Kind.ENDPOINT in wanted.hold
    assert not [want for want in wanted.wants if want.key.kind in wanted.hold]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"allowedTypes": ["ml.t2.*"]}, "ml.m5.large is not allowed: the class allows ml.t2.*"),
        ({"allowedTypes": ["ml.m5.*"]}, None),
        ({"maxCount": 3}, "4 instances at most are asked for, and the class allows 3"),
        ({"maxCount": 4}, None),
    ],
)
def test_a_class_limits_instances(policy: Mapping[str, Any], expected: str | None) -> None:
    one = subject({"serving": {"instances": INSTANCES, "variants": TWO}}, {"instances": policy})
    assert (str(one.refusal) if one.refusal else None) == expected
    held = Kind.ENDPOINT in desired(one, resolved(images=(IMAGE, OTHER_IMAGE))).hold
    assert held == (expected is not None)


def test_autoscaling_counts_with_the_most_that_there_may_ever_be() -> None:
    night = {"name": "night", "schedule": "rate(1 day)", "minCount": 1, "maxCount": 7}
    scaling = {"maxCount": 3, "schedule": [night]}
    one = subject(
        {"serving": {"instances": {"type": "ml.m5.large", "autoscaling": scaling}}}, {"instances": {"maxCount": 6}}
    )
    assert "7 instances at most" in str(one.refusal)


def test_autoscaling_waits_for_the_endpoint_to_be_as_wanted() -> None:
    scaling = {"maxCount": 3, "invocationsPerInstance": 60, "scaleInCooldown": "10m", "scaleOutCooldown": "30s"}
    found = wants({"instances": {"type": "ml.m5.large", "autoscaling": scaling}})
    (target,), (endpoint,) = found[Kind.SCALABLE_TARGET], found[Kind.ENDPOINT]
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
    (spec,) = specs(wants(serving)[Kind.SCALABLE_TARGET])
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
    found = wants({"instances": INSTANCES, "rollout": rollout})
    (endpoint,) = found[Kind.ENDPOINT]
    names = tuple(sorted(want.key.name for want in found[Kind.ALARM]))
    assert isinstance(endpoint.spec, EndpointSpec)
    assert endpoint.spec.rollout == RolloutSpec(*expected, alarms=names)
    assert endpoint.update_needs == {want.key for want in found[Kind.ALARM]}


def test_without_automatic_rollback_no_alarm_is_waited_for() -> None:
    (endpoint,) = wants({"instances": INSTANCES, "rollout": {"autoRollback": False}})[Kind.ENDPOINT]
    assert isinstance(endpoint.spec, EndpointSpec)
    assert endpoint.spec.rollout is not None
    assert (endpoint.spec.rollout.alarms, endpoint.update_needs) == ((), frozenset())


def test_serverless_endpoints_leave_the_rollout_to_sagemaker() -> None:
    (endpoint,) = wants({})[Kind.ENDPOINT]
    assert isinstance(endpoint.spec, EndpointSpec)
    assert (endpoint.spec.rollout, endpoint.update_needs) == (None, frozenset())


def test_the_way_of_a_rollout_changes_nothing_that_is_there() -> None:
    one, other = (wants({"instances": INSTANCES, "rollout": {"strategy": each}}) for each in ("Canary", "Linear"))
    assert {kind: specs(found) for kind, found in one.items()} == {kind: specs(found) for kind, found in other.items()}


def test_requests_are_captured_and_queued_as_the_spec_says() -> None:
    asynchronous = {
        "s3Uri": "s3://bucket/x/",
        "maxConcurrencyPerInstance": 4,
        "errorTopicArn": "arn:aws:sns:us-east-1:123456789012:t",
    }
    found = wants(
        {"instances": INSTANCES, "asynchronous": asynchronous}, capture={"s3Uri": "s3://captures", "samplingPercent": 9}
    )
    (config,) = specs(found[Kind.ENDPOINT_CONFIG])
    assert config.capture == CaptureSpec("s3://captures", 9)
    assert config.asynchronous == AsynchronousSpec(
        output_s3_uri=f"s3://bucket/x/{BASE}/results/",
        failure_s3_uri=f"s3://bucket/x/{BASE}/failures/",
        max_concurrency_per_instance=4,
        error_topic_arn="arn:aws:sns:us-east-1:123456789012:t",
    )


def test_the_forwarder_changes_only_to_endpoints_that_serve_and_holds_on_to_those_it_leaves() -> None:
    found = wants({"variants": TWO})
    (function,) = found[Kind.FUNCTION]
    assert function.update_needs == {want.key for want in found[Kind.ENDPOINT]}
    assert function.replaces == {Kind.ENDPOINT}
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
    assert subject({"serving": serving}).serving == expected
