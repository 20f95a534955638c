"""The EventBridge events of endpoints and jobs: `SageMaker Endpoint State Change`, and so on.

Source: "Events that Amazon SageMaker AI sends to Amazon EventBridge" in the SageMaker developer guide. The detail has
times in milliseconds since the epoch, and of endpoints the status in upper case.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from eep_platform.sagemaker.endpoints import Endpoint, Variant

SOURCE = "aws.sagemaker"
DETAIL_TYPE = "SageMaker Endpoint State Change"


def state_change(endpoint: Endpoint, tags: Mapping[str, str]) -> dict[str, Any]:
    """The entry for PutEvents that announces the endpoint's present state."""
    detail = {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": endpoint.shown.config_name,
        "ProductionVariants": [_variant(variant) for variant in endpoint.shown.variants],
        "EndpointStatus": re.sub(r"(?<=[a-z])(?=[A-Z])", "_", endpoint.status).upper(),
        "CreationTime": _milliseconds(endpoint.created),
        "LastModifiedTime": _milliseconds(endpoint.modified),
        "Tags": dict(tags),
    }
    if endpoint.failure_reason:
        detail["FailureReason"] = endpoint.failure_reason
    return {
        "Source": SOURCE,
        "DetailType": DETAIL_TYPE,
        "Detail": json.dumps(detail),
        "Resources": [endpoint.arn],
        "Time": endpoint.modified,
    }


def job_state_change(detail_type: str, described: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """The entry for PutEvents that announces a job's present state; `described` is Describe's answer."""
    arn = next(value for name, value in described.items() if name.endswith("JobArn"))
    detail = {name: value for name, value in described.items() if value is not None} | {"Tags": dict(tags)}
    return {
        "Source": SOURCE,
        "DetailType": detail_type,
        "Detail": json.dumps(detail, default=_milliseconds),
        "Resources": [arn],
        "Time": described["LastModifiedTime"],
    }


def _variant(variant: Variant) -> dict[str, Any]:
    return {
        "VariantName": variant.name,
        "DesiredWeight": variant.weight,
        "DesiredInstanceCount": float(variant.instance_count),
    }


def _milliseconds(time: datetime) -> float:
    return float(round(time.timestamp() * 1000))
