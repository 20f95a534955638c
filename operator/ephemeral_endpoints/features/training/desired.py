"""What is to be trained for an object: a function of its spec, its class, and the digest of its image."""

from typing import Final

from ephemeral_endpoints.api.v1alpha1.training import Training, TrainingPolicy
from ephemeral_endpoints.engine.names import CONTENT_LENGTH, content_digest, owner_hash, prefix, slug, variant_hash
from ephemeral_endpoints.engine.tags import class_tags
from ephemeral_endpoints.features.images.policy import image_of
from ephemeral_endpoints.features.images.references import ImageReference
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.features.training.definition import Shape, rendered
from ephemeral_endpoints.features.training.policy import group_of
from ephemeral_endpoints.features.training.specs import Definition, TrainingSpec

_LINEAGE: Final = frozenset({"Repository", "PullRequest", "Revision"})
"""The parameters that say where a model comes from, and do not change it."""


def pipeline_name(subject: Subject, training: Training) -> str:
    """The pipeline of a model and a class; each namespace has its own, so that nobody changes another's."""
    group, uid = training.register_.group, subject.endpoint_class.metadata.uid
    model = variant_hash(f"{subject.endpoint.metadata.namespace}/{group}")
    return f"{prefix(subject.cluster_id)}{slug(group)}-{owner_hash(uid)}-{model}"


def owner_of(pipeline: str) -> str:
    """The hash of the class that a pipeline with such a name belongs to."""
    return pipeline.rsplit("-", 2)[-2] if pipeline.count("-") > 1 else ""


def own_definition(subject: Subject, training: Training) -> Definition:
    """The definition of a training that brings none."""
    spot = training.resources.spot
    shape = Shape(
        metric=training.gate.metric,
        hyperparameters=frozenset(training.hyperparameters),
        max_wait=spot.max_wait if spot else None,
        has_pull_request=subject.endpoint.spec.source.pull_request is not None,
    )
    return rendered(shape)


def desired(
    subject: Subject, training: Training, policy: TrainingPolicy, digest: str | None, definition: Definition
) -> TrainingSpec:
    """The training of the image with this digest, by this definition; without one it cannot be started yet."""
    metadata, group = subject.endpoint_class.metadata, group_of(subject, training)
    pipeline = pipeline_name(subject, training)
    image = ImageReference.parse(image_of(subject)).pinned(digest) if digest else ""
    given = {
        **training.hyperparameters,
        **_parameters(subject, training),
        "ImageUri": image,
        "ImageDigest": digest or "",
        "RoleArn": policy.execution_role_arn,
        "ModelPackageGroupName": group,
    }
    deciding = {name: value for name, value in given.items() if name not in _LINEAGE}
    content = content_digest(definition.digest, sorted(deciding.items()))
    # What trains the same may share its checkpoints, and nothing else may.
    given["ArtifactsS3Uri"] = f"{policy.artifacts.rstrip('/')}/{pipeline}/{content[:CONTENT_LENGTH]}"
    return TrainingSpec(
        pipeline=pipeline,
        definition=definition,
        role_arn=policy.execution_role_arn,
        image=image,
        group=group,
        parameters={name: value for name, value in sorted(given.items()) if name in definition.parameters},
        content=content,
        owner=subject.names.owner,
        tags=class_tags(cluster_id=subject.cluster_id, name=metadata.name, uid=metadata.uid),
    )


def _parameters(subject: Subject, training: Training) -> dict[str, str]:
    source, resources = subject.endpoint.spec.source, training.resources
    found = {
        "DataS3Uri": training.data.s3_uri,
        "DataRevision": training.data.revision,
        "InstanceType": resources.instance_type,
        "InstanceCount": str(resources.count),
        "VolumeSizeInGB": str(resources.volume_gib),
        "MaxRuntimeInSeconds": str(int(resources.max_runtime.total_seconds())),
        "MinimumMetric": training.gate.at_least,
        "ModelApprovalStatus": str(training.register_.approval),
        "Repository": source.head_repository or source.repository,
        "Revision": subject.endpoint.revision,
    }
    return {**found, **({"PullRequest": str(source.pull_request)} if source.pull_request is not None else {})}
