"""Whether a class allows what an object requests for its models."""

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClassSpec, InstancePolicy, LifecyclePolicy
from ephemeral_endpoints.api.v1alpha1.lifecycle import DeletionPolicy, Lifecycle, TtlFrom
from ephemeral_endpoints.api.v1alpha1.network import Network, NetworkPolicy
from ephemeral_endpoints.api.v1alpha1.serving import Serving
from ephemeral_endpoints.api.v1alpha1.tags import TagPolicy
from ephemeral_endpoints.engine.errors import NotAllowed
from ephemeral_endpoints.features.sleep import policy as sleep
from ephemeral_endpoints.features.subject import Subject


def refusal(subject: Subject) -> NotAllowed | None:
    """Why the class does not allow what the object requests; None if it does."""
    spec, policy = subject.endpoint.spec, subject.endpoint_class.spec
    found = (
        refused_instances(spec.serving, policy.instances),
        _refused_network(spec.serving, policy.network),
        _refused_role(spec.serving, policy),
        _refused_tags(spec.tags, policy.tags),
        _refused_retention(spec.lifecycle, policy.lifecycle),
        _refused_ttl_from(spec.lifecycle, policy),
        sleep.refusal(subject),
    )
    return next((each for each in found if each), None)


def refused_instances(serving: Serving, policy: InstancePolicy) -> NotAllowed | None:
    """Why the class does not allow these instances; None if it does, or if none are requested."""
    instances = serving.instances
    if instances is None:
        return None
    if policy.allowed_types and (refused := _unmatched(instances.types, policy.allowed_types)):
        return NotAllowed(f"the class does not allow {refused}: use one of {', '.join(policy.allowed_types)}")
    most = _most(serving)
    if most > policy.max_count:
        return NotAllowed(
            f"spec.serving asks for up to {most} instances, but the class allows {policy.max_count}: reduce the number "
            "of instances or of variants"
        )
    size, largest = instances.volume_size_gb or 0, policy.max_volume_size_gb
    if size > largest:
        return NotAllowed(f"volumeSizeGB is {size}, but the class allows {largest}: reduce it")
    return None


def _refused_network(serving: Serving, policy: NetworkPolicy) -> NotAllowed | None:
    """Why the class does not allow this network; None if it does."""
    if policy.needs_instances and serving.instances is None:
        demands = "connects models to a VPC" if policy.vpc else "isolates models from the network"
        return NotAllowed(
            f"the class {demands}, which SageMaker does not support for serverless endpoints: "
            "set spec.serving.instances"
        )
    network = serving.network or Network()
    vpc_groups, vpc_subnets = (policy.vpc.security_group_ids, policy.vpc.subnet_ids) if policy.vpc else ((), ())
    for name, asked, allowed in (
        ("securityGroupIds", network.security_group_ids, vpc_groups),
        ("subnetIds", network.subnet_ids, vpc_subnets),
    ):
        if refused := next((each for each in asked if each not in allowed), None):
            use = f"use some of {', '.join(allowed)}" if allowed else "the class has no VPC: remove it"
            return NotAllowed(f"the class does not allow {refused} in spec.serving.network.{name}: {use}")
    return None


def _refused_role(serving: Serving, policy: EphemeralEndpointClassSpec) -> NotAllowed | None:
    asked, allowed = serving.execution_role_arn, (policy.execution_role_arn, *policy.allowed_execution_role_arns)
    if asked is None or asked in allowed:
        return None
    return NotAllowed(f"the class does not allow the execution role {asked}: use one of {', '.join(allowed)}")


def _refused_tags(tags: Mapping[str, str], policy: TagPolicy) -> NotAllowed | None:
    refused = _unmatched(tags, policy.allowed_keys)
    if refused is None:
        return None
    use = f"use {', '.join(policy.allowed_keys)}" if policy.allowed_keys else "it allows none: remove spec.tags"
    return NotAllowed(f"the class does not allow the tag {refused}: {use}")


def _refused_retention(lifecycle: Lifecycle, policy: LifecyclePolicy) -> NotAllowed | None:
    if lifecycle.deletion_policy is not DeletionPolicy.RETAIN or policy.allow_retain:
        return None
    return NotAllowed(
        "the class does not allow spec.lifecycle.deletionPolicy Retain, because nothing would end what stays; the AWS "
        "resources will be deleted with the object: set Delete, or ask the platform team to set "
        "spec.lifecycle.allowRetain of the class"
    )


def _unmatched(names: Iterable[str], patterns: Collection[str]) -> str | None:
    """The first name that no pattern matches."""
    return next((name for name in names if not any(fnmatchcase(name, pattern) for pattern in patterns)), None)


def _most(serving: Serving) -> int:
    """The most instances that there may ever be, rollouts aside."""
    instances = serving.instances
    if instances is None:
        return 0
    scaling = instances.autoscaling
    bounds = [scaling.max_count, *(each.max_count for each in scaling.schedule)] if scaling else [instances.count]
    return max(bounds) * max(1, len(serving.variants))


def _refused_ttl_from(lifecycle: Lifecycle, policy: EphemeralEndpointClassSpec) -> NotAllowed | None:
    """Why the time to live cannot count from the last use; None if it can, or need not."""
    if lifecycle.ttl_from is not TtlFrom.LAST_USE or policy.events is not None:
        return None
    return NotAllowed(
        "the class has no queue through which forwarders could tell of use, and the time to live counts from the last "
        "revision: set spec.lifecycle.ttlFrom to LastRevision, or ask the platform team for spec.events in the class"
    )
