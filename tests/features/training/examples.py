"""A training as the tests of its parts use it."""

from collections.abc import Mapping
from typing import Any

from tests.engine.objects import ACCOUNT, DIGEST, IMAGE, merged, subject

from ephemeral_endpoints.api.v1alpha1.training import Training, TrainingPolicy
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.features.training.desired import desired, own_definition
from ephemeral_endpoints.features.training.specs import TrainingSpec

SHA = "6dcd4ce23d88e2ee9568ba546c007c63d9131c1b"
METRIC = "multiclass_classification_metrics.accuracy.value"
TRAINING: Mapping[str, Any] = {
    "image": {"uri": IMAGE},
    "data": {"s3Uri": "s3://acme-data/wine/", "revision": "2026-11-28"},
    "hyperparameters": {"seed": "7"},
    "resources": {"instanceType": "ml.m5.large"},
    "gate": {"metric": METRIC, "atLeast": "0.8"},
    "register": {"group": "wine"},
}
POLICY: Mapping[str, Any] = {
    "training": {
        "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/training",
        "artifacts": "s3://acme-artifacts/models",
        "instanceTypes": ["ml.m5.*"],
        "data": ["s3://acme-data/wine", "s3://acme-data/digits/"],
    },
    "packages": {"groups": ["wine", "digits-*"]},
}


def trained(
    training: Mapping[str, Any] | None = None,
    policy: Mapping[str, Any] | None = None,
    source: Mapping[str, Any] | None = None,
    **spec: Any,  # noqa: ANN401 - members of a spec
) -> Subject:
    """An object that trains its model, of a class that allows it."""
    model = {"image": None, "training": merged(TRAINING, training or {})}
    members = {"source": {"revision": SHA, **(source or {})}, "model": model, **spec}
    return subject(members, merged(POLICY, policy or {}))


def parts(of: Subject) -> tuple[Training, TrainingPolicy]:
    training, policy = of.endpoint.spec.model.training, of.endpoint_class.spec.training
    assert training
    assert policy
    return training, policy


def spec_of(of: Subject, digest: str = DIGEST) -> TrainingSpec:
    """What is trained for an object whose image has that digest."""
    training, policy = parts(of)
    return desired(of, training, policy, digest, own_definition(of, training))
