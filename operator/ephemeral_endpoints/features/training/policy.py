"""Whether a class trains what an object asks for."""

from fnmatch import fnmatchcase
from typing import Final

from ephemeral_endpoints.api.v1alpha1.image_build import Platform
from ephemeral_endpoints.api.v1alpha1.packages import PackagePolicy
from ephemeral_endpoints.api.v1alpha1.training import PREVIEWS, Training, TrainingPolicy
from ephemeral_endpoints.engine.errors import NotAllowed
from ephemeral_endpoints.features.images.policy import platform_of, runs_on
from ephemeral_endpoints.features.subject import Subject

_ASK: Final = "or ask the platform team to change spec.training or spec.packages of the class"


def refusal(subject: Subject) -> NotAllowed | None:
    """Why the class does not train the object's model; None if it does, or need not."""
    training, policy = subject.endpoint.spec.model.training, subject.endpoint_class.spec.training
    if training is None:
        return None
    if policy is None:
        return NotAllowed(
            f"class {subject.endpoint_class.metadata.name} trains no models: name a trained one in spec.model, or ask "
            "the platform team to set spec.training of the class"
        )
    found = (
        _refused_data(training, policy),
        _refused_group(training, subject.endpoint_class.spec.packages),
        _refused_resources(training, policy, platform_of(subject.endpoint.spec.serving)),
    )
    message = next((each for each in found if each), None)
    return NotAllowed(f"{message}, {_ASK}") if message else None


def group_of(subject: Subject, training: Training) -> str:
    """The model package group: packages of pull requests are apart from those of merged commits."""
    suffix = PREVIEWS if subject.endpoint.spec.source.pull_request is not None else ""
    return f"{training.register_.group}{suffix}"


def _refused_data(training: Training, policy: TrainingPolicy) -> str | None:
    url = training.data.s3_uri
    if any(url.startswith(f"{each.rstrip('/')}/") for each in policy.data):
        return None
    return f"the class does not allow the data {url}: use a folder below {', '.join(policy.data)}"


def _refused_group(training: Training, policy: PackagePolicy | None) -> str | None:
    group, allowed = training.register_.group, policy.groups if policy else ()
    if any(fnmatchcase(group, pattern) for pattern in allowed):
        return None
    return f"the class does not allow the model package group {group}: use one of {', '.join(allowed)}"


def _refused_resources(training: Training, policy: TrainingPolicy, needed: Platform) -> str | None:
    asked = training.resources
    if not any(fnmatchcase(asked.instance_type, pattern) for pattern in policy.instance_types):
        return f"the class does not train on {asked.instance_type}: use one of {', '.join(policy.instance_types)}"
    if runs_on(asked.instance_type) is not needed:
        return f"{asked.instance_type} cannot run the image, which is for {needed} where it serves: use a type of that"
    if asked.count > policy.max_count:
        return f"resources.count is {asked.count}, but the class allows {policy.max_count}: reduce it"
    if asked.volume_gib > policy.max_volume_gib:
        return f"resources.volumeGiB is {asked.volume_gib}, but the class allows {policy.max_volume_gib}: reduce it"
    longest = max(asked.max_runtime, asked.spot.max_wait if asked.spot else asked.max_runtime)
    if longest > policy.max_runtime:
        return f"resources asks for {longest} of time, but the class allows {policy.max_runtime}: reduce it"
    return None
