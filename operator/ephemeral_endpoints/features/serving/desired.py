"""The serving of one object: SageMaker models, endpoint configurations, endpoints and their autoscaling."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Self

from ephemeral_endpoints.api.v1alpha1.capture import Capture
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpointSpec
from ephemeral_endpoints.api.v1alpha1.model_data import ModelData
from ephemeral_endpoints.api.v1alpha1.serving import Asynchronous, Autoscaling, Rollout, Serverless, Serving, Strategy
from ephemeral_endpoints.engine.names import Names, content_digest, endpoint_logs
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.resources import DesiredResource, Key
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.images.policy import image_of
from ephemeral_endpoints.features.images.references import ImageReference
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP
from ephemeral_endpoints.features.packages.specs import PackagedModel
from ephemeral_endpoints.features.serving.hosting import Hosting
from ephemeral_endpoints.features.serving.policy import refusal
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    RUNNING_KINDS,
    SCALABLE_TARGET,
    SERVING_KINDS,
    AsynchronousSpec,
    CaptureSpec,
    DataSpec,
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
    content,
    scalable_target_name,
)
from ephemeral_endpoints.features.sleep.policy import stops_asleep
from ephemeral_endpoints.features.subject import Resolved, Subject

ONLY_VARIANT: Final = "main"
"""The name of a single production variant; it must stay the same between configurations of one endpoint."""

_STEP_PERCENT: Final = {Strategy.CANARY: 10, Strategy.LINEAR: 25, Strategy.ROLLING: 50}
_INTERVAL: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Served:
    """One model behind the URL: the variant's name, its endpoint, its share, and the settings of its container."""

    name: str
    endpoint: str
    weight: int
    image: str
    data: ModelData
    environment: Mapping[str, str]
    package: PackagedModel | None = None


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


def desired(subject: Subject, resolved: Resolved, earlier: DesiredState) -> DesiredState:
    """Everything that serves.

    Until all images are pinned, the model is trained, all variables of the environment are known and the schemas of
    the API can be used, and where the class refuses, the current resources stay. The alarms among the ``earlier``
    resources take a rollout back.
    """
    if resolved.refused:
        return DesiredState()
    if subject.endpoint.spec.model.training and resolved.trained is None:
        return DesiredState(keep_kinds=SERVING_KINDS)
    variants = _with_trained(subject, variants_of(subject), resolved.trained)
    is_pinned = {each.image for each in variants} <= resolved.digests.keys()
    if refusal(subject) or not is_pinned or resolved.environment is None or resolved.schemas is None:
        return DesiredState(keep_kinds=SERVING_KINDS)
    resources = endpoints(
        subject.endpoint.spec,
        subject.names,
        variants,
        resolved.digests,
        hosting=Hosting.of(subject, resolved.environment),
        alarms=frozenset(resource.key for resource in earlier.resources if resource.key.kind is ALARM),
        tags=subject.tags,
        is_asleep=resolved.asleep,
    )
    if resolved.asleep and stops_asleep(subject.endpoint.spec.serving):
        resources = [each for each in resources if each.key.kind not in RUNNING_KINDS]
    return DesiredState(tuple(resources))


def variants_of(subject: Subject) -> tuple[Served, ...]:
    """The models behind the URL."""
    return served(subject.endpoint.spec, subject.names, image_of(subject), subject.package)


def _with_trained(subject: Subject, variants: tuple[Served, ...], data_url: str | None) -> tuple[Served, ...]:
    """The variants with the trained model, where they have no data of their own."""
    model = subject.endpoint.spec.model
    if data_url is None:
        return variants
    trained = ModelData(data_url=data_url)
    return tuple(replace(each, data=trained) if each.data is model else each for each in variants)


def describe_capacity(subject: Subject) -> str:
    """The instances of the model, in words."""
    match subject.endpoint.spec.serving.capacity:
        case Serverless() as size:
            each = f"serverless {size.memory_size_mb} MB x {size.max_concurrency}"
        case size:
            each = f"{' or '.join(size.types)} x {size.count}"
    count = max(1, len(subject.endpoint.spec.serving.variants))
    return each if count == 1 else f"{count} variants, each {each}"


def served(
    spec: EphemeralEndpointSpec, names: Names, image: str, package: PackagedModel | None = None
) -> tuple[Served, ...]:
    """The models behind the URL: on instances they share an endpoint, without instances each has its own.

    ``image`` is that of ``spec.model``, wherever it comes from; ``package`` is the one that brings it.
    """
    model, serving = spec.model, spec.serving
    data = package.data if package else model
    if not serving.variants:
        only = Served(ONLY_VARIANT, names.base, 1, image, data, model.environment, package)
        return (only,)
    return tuple(
        Served(
            name=variant.name,
            endpoint=names.endpoint(None if serving.instances else variant.name),
            weight=variant.weight,
            image=variant.model.image or image,
            data=variant.model if variant.model.data_url or variant.model.s3_prefix else data,
            environment=model.environment if variant.model.environment is None else variant.model.environment,
            package=package,
        )
        for variant in serving.variants
    )


def endpoint_keys(variants: tuple[Served, ...]) -> frozenset[Key]:
    """The endpoints of the variants."""
    return frozenset(Key(ENDPOINT, each.endpoint) for each in variants)


def endpoints(  # noqa: PLR0913 - all that a deployment consists of
    spec: EphemeralEndpointSpec,
    names: Names,
    variants: tuple[Served, ...],
    digests: Mapping[str, str],
    *,
    hosting: Hosting,
    alarms: frozenset[Key],
    tags: Tags,
    is_asleep: bool = False,
) -> list[DesiredResource]:
    """Everything that serves: equal resources of several variants are desired once. ``digests`` are by image.

    While it ``is_asleep``, it serves without provisioned concurrency.
    """
    groups: dict[str, list[Served]] = {}
    for each in variants:
        groups.setdefault(each.endpoint, []).append(each)
    resources: dict[Key, DesiredResource] = {}
    for endpoint, group in groups.items():
        models = _models(group, names, digests, hosting, tags)
        resources |= {resource.key: resource for resource in models.values()}
        hostings = (replace(hosting, capacity=each) for each in _forms(hosting.capacity))
        forms = [_config(spec, names, endpoint, group, models, each, tags) for each in hostings]
        config = forms[-1 if is_asleep else 0]
        resources[config.key] = config
        serving = _endpoint(spec.serving, endpoint, config.key, forms, alarms, tags)
        resources[serving.key] = serving
        resources |= {resource.key: resource for resource in _scalable_targets(spec.serving, serving.key, group, tags)}
    return list(resources.values())


def _forms(capacity: ServerlessSpec | InstanceSpec) -> tuple[ServerlessSpec | InstanceSpec, ...]:
    """The capacity of an endpoint awake, and that of one that serves asleep."""
    if isinstance(capacity, InstanceSpec) or capacity.provisioned_concurrency is None:
        return (capacity,)
    return (capacity, replace(capacity, provisioned_concurrency=None))


def _models(
    variants: list[Served], names: Names, digests: Mapping[str, str], hosting: Hosting, tags: Tags
) -> dict[str, DesiredResource]:
    """The variants' models, by variant. The names of those of one endpoint show that they serve together."""
    specs = {each.name: _model(each, digests[each.image], hosting, tags) for each in variants}
    together = _together(specs)
    return {
        variant: DesiredResource(Key(MODEL, names.immutable(together, content_digest(together, _content(spec)))), spec)
        for variant, spec in specs.items()
    }


def _model(variant: Served, digest: str, hosting: Hosting, tags: Tags) -> ModelSpec:
    package = variant.package
    brought = dict(package.environment) if package else {}
    return ModelSpec(
        image=ImageReference.parse(variant.image).pinned(digest),
        data_url=None if variant.data.is_source else variant.data.data_url,
        environment=tuple(sorted({**brought, **hosting.environment, **variant.environment}.items())),
        role_arn=hosting.role_arn,
        tags=tags,
        data_source=_data(variant.data) if variant.data.is_source else None,
        additional_data=tuple(sorted((each.name, _data(each)) for each in hosting.additional_data)),
        vpc=hosting.vpc,
        isolated=hosting.isolated,
        package=package.arn if package else None,
        is_direct=package is None or package.is_direct,
    )


def _data(asked: ModelData) -> DataSpec:
    return DataSpec(asked.data_url or asked.s3_prefix or "", asked.accept_eula)


def _config(  # noqa: PLR0913, PLR0917 - a configuration brings everything together
    spec: EphemeralEndpointSpec,
    names: Names,
    endpoint: str,
    variants: list[Served],
    models: Mapping[str, DesiredResource],
    hosting: Hosting,
    tags: Tags,
) -> DesiredResource:
    is_alone = len(variants) == 1
    config = EndpointConfigSpec(
        variants=tuple(
            VariantSpec(each.name, models[each.name].key.name, hosting.capacity, 1 if is_alone else each.weight)
            for each in variants
        ),
        capture=_capture(spec.capture, hosting),
        asynchronous=_asynchronous(spec.serving.asynchronous, endpoint, hosting),
        tags=tags,
        volume_key_arn=hosting.encryption.volume_key_arn,
    )
    specs = {variant: resource.spec for variant, resource in models.items() if isinstance(resource.spec, ModelSpec)}
    key = Key(ENDPOINT_CONFIG, names.immutable(_together(specs), _content(config)))
    return DesiredResource(key, config, frozenset(resource.key for resource in models.values()))


def _endpoint(  # noqa: PLR0913, PLR0917 - what it serves, and how it changes
    serving: Serving, endpoint: str, config: Key, forms: Sequence[DesiredResource], alarms: frozenset[Key], tags: Tags
) -> DesiredResource:
    rollout = _rollout(serving.rollout, alarms) if serving.instances else None
    names = tuple(each.key.name for each in forms) if len(forms) > 1 else ()
    is_scaled = serving.instances is not None and serving.instances.autoscaling is not None
    return DesiredResource(
        Key(ENDPOINT, endpoint),
        EndpointSpec(config.name, rollout=rollout, keeps_counts=is_scaled, forms=names, tags=tags),
        needs=frozenset({config, Key(LOG_GROUP, endpoint_logs(endpoint))}),
        update_needs=alarms if rollout and rollout.alarms else frozenset(),
    )


def _capture(asked: Capture | None, hosting: Hosting) -> CaptureSpec | None:
    """SageMaker's own capture, which the forwarder's is not."""
    if asked is None or asked.s3_uri is None:
        return None
    return CaptureSpec(asked.s3_uri, asked.sampling_percent, hosting.encryption.capture_key_arn)


def _asynchronous(asked: Asynchronous | None, endpoint: str, hosting: Hosting) -> AsynchronousSpec | None:
    if asked is None:
        return None
    folders = AsynchronousFolders.below(asked.s3_uri, endpoint)
    return AsynchronousSpec(
        output_s3_uri=folders.results,
        failure_s3_uri=folders.failures,
        max_concurrency_per_instance=asked.max_concurrency_per_instance,
        success_topic_arn=asked.success_topic_arn,
        error_topic_arn=asked.error_topic_arn,
        key_arn=hosting.encryption.result_key_arn,
    )


def _rollout(rollout: Rollout, alarms: frozenset[Key]) -> RolloutSpec:
    is_stepless = rollout.strategy in (Strategy.ALL_AT_ONCE, Strategy.RECREATE)
    interval = timedelta(0) if is_stepless else (rollout.interval or _INTERVAL)
    # A recreated endpoint has nothing to be rolled back to.
    is_watched = rollout.auto_rollback and rollout.strategy is not Strategy.RECREATE
    names = tuple(sorted(key.name for key in alarms)) if is_watched else ()
    return RolloutSpec(
        strategy=rollout.strategy,
        step_percent=rollout.step_percent or _STEP_PERCENT.get(rollout.strategy),
        interval_seconds=int(interval.total_seconds()),
        alarms=names,
    )


def _scalable_targets(serving: Serving, endpoint: Key, variants: list[Served], tags: Tags) -> list[DesiredResource]:
    instances = serving.instances
    if instances is None or instances.autoscaling is None:
        return []
    scaling = instances.autoscaling
    return [
        DesiredResource(
            Key(SCALABLE_TARGET, scalable_target_name(endpoint.name, each.name)),
            _scalable_target("+".join(instances.types), scaling, endpoint, each.name, tags),
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
    """The digest of all models of an endpoint; endpoints of one model each share it, whatever their variants' names."""
    if len(specs) == 1:
        return _content(*specs.values())
    return content_digest(*sorted(f"{variant}={_content(spec)}" for variant, spec in specs.items()))


def _content(spec: ModelSpec | EndpointConfigSpec) -> str:
    """The digest of an immutable resource's content; tags are not part of it."""
    return content_digest(json.dumps(content(spec), sort_keys=True))
