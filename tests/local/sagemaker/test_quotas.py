from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ephemeral_endpoints.local.sagemaker.endpoints import Deployment, Endpoint, creating, deployment
from ephemeral_endpoints.local.sagemaker.errors import ServiceError
from ephemeral_endpoints.local.sagemaker.quotas import refuse_excess
from ephemeral_endpoints.local.sagemaker.settings import Quotas

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


@pytest.mark.parametrize(
    ("quotas", "existing", "before", "after", "refused"),
    [
        pytest.param({"serverless_endpoints": 1}, [], None, serverless(1), None, id="the first fits"),
        pytest.param({"serverless_endpoints": 1}, [serverless(1)], None, serverless(1), "1 Endpoints", id="not two"),
        pytest.param({"serverless_concurrency": 5}, [serverless(3)], None, serverless(2), None, id="just fits"),
        pytest.param(
            {"serverless_concurrency": 5}, [serverless(3)], None, serverless(3), "utilization of 3 ", id="one too many"
        ),
        pytest.param({"serverless_concurrency": 5}, [serverless(5)], 0, serverless(5), None, id="updates count once"),
        pytest.param(
            {"serverless_concurrency": 5}, [serverless(4)], 0, serverless(6), "delta of 2 ", id="the difference"
        ),
        pytest.param({"instances": {"ml.m5.large": 2}}, [], None, instances(3), "is 2 Instances", id="by type"),
        pytest.param(
            {"instances": {"ml.m5.large": 3}}, [instances(2)], 0, instances(2), "delta of 2 ", id="both fleets at once"
        ),
        pytest.param({"instances": {"ml.m5.large": 4}}, [instances(2)], 0, instances(2), None, id="room for both"),
        pytest.param({"instances": {"ml.m5.large": 5}}, [instances(4)], 0, rolling(4, 1), None, id="a batch more"),
        pytest.param({"instances": {"ml.m5.large": 5}}, [instances(4)], 0, rolling(4, 2), "delta of 2 ", id="too many"),
        pytest.param({"instances": {"ml.m5.large": 4}}, [instances(2)], 0, rolling(4, 0), None, id="scaled in place"),
        pytest.param({"instances": {"ml.m5.large": 4}}, [instances(2)], 0, rolling(5, 0), "delta of 3 ", id="too far"),
        pytest.param({"instances_of_any_other_type": 0}, [], None, instances(1), "is 0 Instances", id="any other type"),
        pytest.param({"endpoints": 1}, [instances(1)], None, serverless(1), "Number of endpoints", id="all endpoints"),
        pytest.param({"endpoints": 1}, [instances(1)], 0, instances(1), None, id="an update is no new endpoint"),
    ],
)
def test_limits(
    quotas: dict[str, Any], existing: list[Deployment], before: int | None, after: Deployment, refused: str | None
) -> None:
    endpoints = [endpoint(held) for held in existing]
    changed = None if before is None else endpoints[before]
    if refused is None:
        refuse_excess(Quotas(**quotas), endpoints, changed, after)
        return
    with pytest.raises(ServiceError, match=refused) as raised:
        refuse_excess(Quotas(**quotas), endpoints, changed, after)
    assert raised.value.code == "ResourceLimitExceeded"
