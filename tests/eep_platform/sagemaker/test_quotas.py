from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.endpoints import Deployment, Endpoint, creating, deployment
from eep_platform.sagemaker.quotas import refuse_excess
from eep_platform.sagemaker.settings import Quotas

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def serverless(concurrency: int) -> Deployment:
    config: Any = {"VariantName": "V", "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": concurrency}}
    return deployment("c", {"ProductionVariants": [config]}, NOW)


def instances(count: int) -> Deployment:
    config = {"VariantName": "V", "InstanceType": "ml.m5.large", "InitialInstanceCount": count}
    return deployment("c", {"ProductionVariants": [config]}, NOW)


def rolling(count: int, surge: int) -> Deployment:
    return replace(instances(count), surge=surge)


def endpoint(held: Deployment) -> Endpoint:
    return creating("e", "arn", held, {}).deployed(NOW)


@dataclass(frozen=True, kw_only=True)
class Case:
    quotas: dict[str, Any]
    existing: list[Deployment]
    before: int | None
    after: Deployment
    refused: str | None


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Case(quotas={"serverless_endpoints": 1}, existing=[], before=None, after=serverless(1), refused=None),
            id="the first fits",
        ),
        pytest.param(
            Case(
                quotas={"serverless_endpoints": 1},
                existing=[serverless(1)],
                before=None,
                after=serverless(1),
                refused="1 Endpoints",
            ),
            id="not two",
        ),
        pytest.param(
            Case(
                quotas={"serverless_concurrency": 5},
                existing=[serverless(3)],
                before=None,
                after=serverless(2),
                refused=None,
            ),
            id="just fits",
        ),
        pytest.param(
            Case(
                quotas={"serverless_concurrency": 5},
                existing=[serverless(3)],
                before=None,
                after=serverless(3),
                refused="utilization of 3 ",
            ),
            id="one too many",
        ),
        pytest.param(
            Case(
                quotas={"serverless_concurrency": 5},
                existing=[serverless(5)],
                before=0,
                after=serverless(5),
                refused=None,
            ),
            id="updates count once",
        ),
        pytest.param(
            Case(
                quotas={"serverless_concurrency": 5},
                existing=[serverless(4)],
                before=0,
                after=serverless(6),
                refused="delta of 2 ",
            ),
            id="the difference",
        ),
        pytest.param(
            Case(
                quotas={"instances": {"ml.m5.large": 2}},
                existing=[],
                before=None,
                after=instances(3),
                refused="is 2 Instances",
            ),
            id="by type",
        ),
        pytest.param(
            Case(
                quotas={"instances": {"ml.m5.large": 3}},
                existing=[instances(2)],
                before=0,
                after=instances(2),
                refused="delta of 2 ",
            ),
            id="both fleets at once",
        ),
        pytest.param(
            Case(
                quotas={"instances": {"ml.m5.large": 4}},
                existing=[instances(2)],
                before=0,
                after=instances(2),
                refused=None,
            ),
            id="room for both",
        ),
        pytest.param(
            Case(
                quotas={"instances": {"ml.m5.large": 5}},
                existing=[instances(4)],
                before=0,
                after=rolling(4, 1),
                refused=None,
            ),
            id="a batch more",
        ),
        pytest.param(
            Case(
                quotas={"instances": {"ml.m5.large": 5}},
                existing=[instances(4)],
                before=0,
                after=rolling(4, 2),
                refused="delta of 2 ",
            ),
            id="too many",
        ),
        pytest.param(
            Case(
                quotas={"instances": {"ml.m5.large": 4}},
                existing=[instances(2)],
                before=0,
                after=rolling(4, 0),
                refused=None,
            ),
            id="scaled in place",
        ),
        pytest.param(
            Case(
                quotas={"instances": {"ml.m5.large": 4}},
                existing=[instances(2)],
                before=0,
                after=rolling(5, 0),
                refused="delta of 3 ",
            ),
            id="too far",
        ),
        pytest.param(
            Case(
                quotas={"instances_of_any_other_type": 0},
                existing=[],
                before=None,
                after=instances(1),
                refused="is 0 Instances",
            ),
            id="any other type",
        ),
        pytest.param(
            Case(
                quotas={"endpoints": 1},
                existing=[instances(1)],
                before=None,
                after=serverless(1),
                refused="Number of endpoints",
            ),
            id="all endpoints",
        ),
        pytest.param(
            Case(quotas={"endpoints": 1}, existing=[instances(1)], before=0, after=instances(1), refused=None),
            id="an update is no new endpoint",
        ),
    ],
)
def test_limits(case: Case) -> None:
    endpoints = [endpoint(held) for held in case.existing]
    changed = None if case.before is None else endpoints[case.before]
    if case.refused is None:
        refuse_excess(Quotas(**case.quotas), endpoints, changed, case.after)
        return
    with pytest.raises(ServiceError, match=case.refused) as raised:
        refuse_excess(Quotas(**case.quotas), endpoints, changed, case.after)
    assert raised.value.code == "ResourceLimitExceeded"
