"""What serves the models of one object: SageMaker models, endpoint configurations, endpoints and their autoscaling."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Final, Self

from ephemeral_endpoints.api.endpoint import Capture, EphemeralEndpointSpec
from ephemeral_endpoints.api.serving import Asynchronous, Autoscaling, Instances, Rollout, Serving, Strategy
from ephemeral_endpoints.core.images import ImageReference
from ephemeral_endpoints.core.names import Names, content_hash, endpoint_logs
from ephemeral_endpoints.core.resources import (
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
    scalable_target_name,
)
from ephemeral_endpoints.core.tags import Tags

ONLY_VARIANT: Final = "main"
"""The name of a single production variant; it must stay the same between configurations of one endpoint."""

SERVING_KINDS: Final = frozenset({Kind.MODEL, Kind.ENDPOINT_CONFIG, Kind.ENDPOINT, Kind.SCALABLE_TARGET})
"""What serves a revision."""

_STEP_PERCENT: Final = {Strategy.CANARY: 10, Strategy.LINEAR: 25, Strategy.ROLLING: 50}
_INTERVAL: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Served:
    """One model behind the URL: the variant's name, its endpoint, its share, and what its container is told."""

    name: str
    endpoint: str
    weight: int
    image: str
    data_url: str | None
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AsynchronousFolders:
    """Where queued requests, their results and their failures are kept, as S3 URLs that end with a slash."""

    requests: str
    results: str
    failures: str

    @classmethod
    def below(cls, s3_uri: str, endpoint: str) -> Self:
        """The folders of an endpoint below the one that the object names."""
        root = f"{s3_uri.rstrip('/')}/{endpoint}"
        return cls(f"{root}/requests/", f"{root}/results/", f"{root}/failures/")


def served(spec: EphemeralEndpointSpec, names: Names, image: str) -> tuple[Served, ...]:
    """The models behind the URL: on instances they share an endpoint, without instances each has its own.

    ``image`` is that of ``spec.model``, wherever it comes from.
    """
    model, serving = spec.model, spec.serving
    if not serving.variants:
        only = Served(ONLY_VARIANT, names.base, 1, image, model.data_url, model.environment)
        return (only,)
    return tuple(
        Served(
            name=variant.name,
            endpoint=names.endpoint(None if serving.instances else variant.name),
            weight=variant.weight,
            image=variant.model.image or image,
            data_url=variant.model.data_url or model.data_url,
            environment=model.environment if variant.model.environment is None else variant.model.environment,
        )
        for variant in serving.variants
    )


def endpoint_keys(variants: tuple[Served, ...]) -> frozenset[Key]:
    """The endpoints of the variants."""
    return frozenset(Key(Kind.ENDPOINT, each.endpoint) for each in variants)


def endpoints(  # noqa: PLR0913 - all that a deployment consists of
    spec: EphemeralEndpointSpec,
    names: Names,
    variants: tuple[Served, ...],
    digests: Mapping[str, str],
    *,
    role_arn: str,
    alarms: frozenset[Key],
    tags: Tags,
) -> list[Want]:
    """Everything that serves: what is equal for several variants is wanted once. ``digests`` are by image."""
    groups: dict[str, list[Served]] = {}
    for each in variants:
        groups.setdefault(each.endpoint, []).append(each)
    wants: dict[Key, Want] = {}
    for endpoint, group in groups.items():
        models = _models(group, names, digests, role_arn, tags)
        wants |= {want.key: want for want in models.values()}
        config = _config(spec, names, endpoint, group, models, tags)
        wants[config.key] = config
        serving = _endpoint(spec.serving, endpoint, config.key, alarms, tags)
        wants[serving.key] = serving
        wants |= {want.key: want for want in _scalable_targets(spec.serving, serving.key, group, tags)}
    return list(wants.values())


def _models(
    variants: list[Served], names: Names, digests: Mapping[str, str], role_arn: str, tags: Tags
) -> dict[str, Want]:
    """The variants' models, by variant. Those of one endpoint tell by their name that they serve together."""
    specs = {each.name: _model(each, digests[each.image], role_arn, tags) for each in variants}
    together = _together(specs) if len(variants) > 1 else None
    return {
        variant: Want(Key(Kind.MODEL, names.model(_content(spec), within=together)), spec)
        for variant, spec in specs.items()
    }


def _model(variant: Served, digest: str, role_arn: str, tags: Tags) -> ModelSpec:
    return ModelSpec(
        image=ImageReference.parse(variant.image).pinned(digest),
        data_url=variant.data_url,
        environment=tuple(sorted(variant.environment.items())),
        role_arn=role_arn,
        tags=tags,
    )


def _config(  # noqa: PLR0913, PLR0917 - a configuration brings everything together
    spec: EphemeralEndpointSpec,
    names: Names,
    endpoint: str,
    variants: list[Served],
    models: Mapping[str, Want],
    tags: Tags,
) -> Want:
    capacity = _capacity(spec.serving)
    is_alone = len(variants) == 1
    config = EndpointConfigSpec(
        variants=tuple(
            VariantSpec(each.name, models[each.name].key.name, capacity, 1 if is_alone else each.weight)
            for each in variants
        ),
        capture=_capture(spec.capture),
        asynchronous=_asynchronous(spec.serving.asynchronous, endpoint),
        tags=tags,
    )
    specs = {variant: want.spec for variant, want in models.items() if isinstance(want.spec, ModelSpec)}
    together = _content(specs[variants[0].name]) if is_alone else _together(specs)
    key = Key(Kind.ENDPOINT_CONFIG, names.endpoint_config(together, _content(config)))
    return Want(key, config, frozenset(want.key for want in models.values()))


def _endpoint(serving: Serving, endpoint: str, config: Key, alarms: frozenset[Key], tags: Tags) -> Want:
    rollout = _rollout(serving.rollout, alarms) if serving.instances else None
    is_scaled = serving.instances is not None and serving.instances.autoscaling is not None
    return Want(
        Key(Kind.ENDPOINT, endpoint),
        EndpointSpec(config.name, rollout=rollout, keeps_counts=is_scaled, tags=tags),
        needs=frozenset({config, Key(Kind.LOG_GROUP, endpoint_logs(endpoint))}),
        update_needs=alarms if rollout and rollout.alarms else frozenset(),
    )


def _capacity(serving: Serving) -> ServerlessSpec | InstanceSpec:
    capacity = serving.capacity
    if isinstance(capacity, Instances):
        return InstanceSpec(capacity.type, capacity.count)
    return ServerlessSpec(capacity.memory_size_mb, capacity.max_concurrency, capacity.provisioned_concurrency)


def _capture(asked: Capture | None) -> CaptureSpec | None:
    return CaptureSpec(asked.s3_uri, asked.sampling_percent) if asked else None


def _asynchronous(asked: Asynchronous | None, endpoint: str) -> AsynchronousSpec | None:
    if asked is None:
        return None
    folders = AsynchronousFolders.below(asked.s3_uri, endpoint)
    return AsynchronousSpec(
        output_s3_uri=folders.results,
        failure_s3_uri=folders.failures,
        max_concurrency_per_instance=asked.max_concurrency_per_instance,
        success_topic_arn=asked.success_topic_arn,
        error_topic_arn=asked.error_topic_arn,
    )


def _rollout(rollout: Rollout, alarms: frozenset[Key]) -> RolloutSpec:
    interval = timedelta(0) if rollout.strategy is Strategy.ALL_AT_ONCE else (rollout.interval or _INTERVAL)
    names = tuple(sorted(key.name for key in alarms)) if rollout.auto_rollback else ()
    return RolloutSpec(
        strategy=rollout.strategy,
        step_percent=rollout.step_percent or _STEP_PERCENT.get(rollout.strategy),
        interval_seconds=int(interval.total_seconds()),
        alarms=names,
    )


def _scalable_targets(serving: Serving, endpoint: Key, variants: list[Served], tags: Tags) -> list[Want]:
    instances = serving.instances
    if instances is None or instances.autoscaling is None:
        return []
    scaling = instances.autoscaling
    return [
        Want(
            Key(Kind.SCALABLE_TARGET, scalable_target_name(endpoint.name, each.name)),
            _scalable_target(instances.type, scaling, endpoint, each.name, tags),
            needs=frozenset({endpoint}),
            after=frozenset({endpoint}),
        )
        for each in variants
    ]


def _scalable_target(
    instance_type: str, scaling: Autoscaling, endpoint: Key, variant: str, tags: Tags
) -> ScalableTargetSpec:
    bounds = (scaling.min_count, scaling.max_count)
    schedule = (
        ScheduledBounds(each.name, each.schedule, each.timezone, each.min_count, each.max_count)
        for each in scaling.schedule
    )
    return ScalableTargetSpec(
        endpoint=endpoint,
        variant=variant,
        instance_type=instance_type,
        fixed_bounds=None if scaling.schedule else bounds,
        tracking=_tracking(scaling),
        schedule=tuple(sorted(schedule)),
        bounds=bounds,
        tags=tags,
    )


def _tracking(scaling: Autoscaling) -> TargetTracking | None:
    by_metric = (
        (ScalingMetric.INVOCATIONS, scaling.invocations_per_instance),
        (ScalingMetric.BACKLOG, scaling.backlog_per_instance),
    )
    cooldowns = (int(scaling.scale_in_cooldown.total_seconds()), int(scaling.scale_out_cooldown.total_seconds()))
    return next((TargetTracking(metric, value, *cooldowns) for metric, value in by_metric if value), None)


def _together(specs: Mapping[str, ModelSpec]) -> str:
    return content_hash(*sorted(f"{variant}={_content(spec)}" for variant, spec in specs.items()))


def _content(spec: ModelSpec | EndpointConfigSpec) -> str:
    """The hash of all that an immutable thing consists of; tags are not part of it."""
    return content_hash(json.dumps(asdict(replace(spec, tags=())), sort_keys=True))
