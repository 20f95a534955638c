import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import pytest
from tests.aws.cloud import Cloud
from tests.fixtures.aws import CLUSTER, QUICK
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients, Sessions
from ephemeral_endpoints.aws.component import Component, Scope
from ephemeral_endpoints.aws.limits import Limiter
from ephemeral_endpoints.deploy.policies import Principal, merged, of
from ephemeral_endpoints.engine.resources import ResourceKind
from ephemeral_endpoints.features.registry import components

KEY = "operator"
ROLE = f"arn:aws:iam::{ministack.ACCOUNT}:role/any"
TRAINING_ROLE = f"arn:aws:iam::{ministack.ACCOUNT}:role/training"
ROLE_ELSEWHERE = f"arn:aws:iam::{ministack.ACCOUNT}:role/elsewhere"
OTHER_ROLES = "chosen/*"
PROJECT = "previews"
ARTIFACTS = "acme-artifacts"
REPORTS, RECORDINGS = "acme-reports", "acme-recordings"
VALUES = {
    "Region": ministack.REGION,
    "AccountId": ministack.ACCOUNT,
    "ClusterId": CLUSTER,
    # The cloud's things run as one and the same role.
    "ExecutionRole": "any",
    "ExecutionRoles": OTHER_ROLES,
    "ForwarderRole": "any",
    "InvokeRole": "any",
    "DeliveryRole": "any",
    "ReaperRole": "any",
    "TrainingRole": "training",
    "ArtifactsBucket": ARTIFACTS,
    "BuildProject": PROJECT,
    "ReportsBucket": REPORTS,
    "RecordingsBucket": RECORDINGS,
    "AssumedRole": ROLE_ELSEWHERE,
}
POLICY = merged(of(Principal.OPERATOR), VALUES)


@dataclass
class RestrictedCloud(Cloud):
    """A cloud whose components are held to the operator's policies, while ``clients`` may do everything."""

    operator: Clients = field(kw_only=True)

    @cached_property
    def components(self) -> dict[ResourceKind, Component]:
        return {each.kind: each for each in components(self.operator, self.scope)}


def connected(aws: Aws, key: str) -> Sessions:
    """Sessions with credentials of their own; call it where the environment may be changed."""
    os.environ.update(
        {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_ENDPOINT_URL": aws.endpoint,
        }
    )
    sessions = Sessions(connections=16)
    # The default chain is asked for credentials once a session.
    sessions.connect(ministack.REGION)
    return sessions


@pytest.fixture(scope="module")
def operator_sessions(aws: Aws) -> Iterator[Sessions]:
    """The operator's own way to make clients, with the key that is held to policies."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        before = dict(os.environ)
        yield connected(aws, KEY)
        for name in os.environ.keys() - before.keys():
            del os.environ[name]


@pytest.fixture(scope="module")
def calls() -> Iterator[Calls]:
    """The door without limits of our own."""
    with ThreadPoolExecutor(16, "aws") as pool:
        yield Calls(Limiter(time.monotonic, {}), pool, lambda *_: None)


@pytest.fixture(scope="module")
def held(aws: Aws, operator_sessions: Sessions, calls: Calls) -> Iterator[RestrictedCloud]:
    """An emptied account, and an operator in it that may do exactly what is generated."""
    aws.control.reset()
    for name, path in (("any", "/"), ("elsewhere", "/"), ("training", "/"), ("gated", "/chosen/")):
        aws.make_role(name, path=path)
    aws.control.patch_sagemaker_settings(QUICK)
    aws.control.hold_to(KEY, [POLICY])
    operator = operator_sessions.connect(ministack.REGION)
    admin = Sessions(connections=16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "local")
        clients = admin.connect(ministack.REGION)
    yield RestrictedCloud(aws, clients, calls, Scope(CLUSTER, ministack.ACCOUNT, ministack.REGION), operator=operator)
    aws.control.release()
