"""Endpoints as DescribeEndpoint and ListEndpoints show them; pure."""

from typing import Any

from eep_platform.sagemaker.endpoints import IN_PROGRESS, SERVING, Endpoint, EndpointStatus, Stage, Variant


def described(endpoint: Endpoint) -> dict[str, Any]:
    """DescribeEndpoint's answer. `EndpointConfigName` is the serving one until an update has succeeded."""
    started = endpoint.status not in {EndpointStatus.CREATING, EndpointStatus.FAILED}
    answer = summary(endpoint) | {
        "EndpointConfigName": endpoint.shown.config_name,
        "ProductionVariants": [_serving(endpoint, variant, started=started) for variant in endpoint.shown.variants],
        "FailureReason": endpoint.failure_reason or None,
        "LastDeploymentConfig": endpoint.deployment_config or None,
        "DataCaptureConfig": _data_capture(endpoint),
        "AsyncInferenceConfig": endpoint.shown.async_inference,
    }
    if endpoint.status is EndpointStatus.UPDATING and endpoint.pending and not endpoint.pending.in_place:
        answer["PendingDeploymentSummary"] = {
            "EndpointConfigName": endpoint.pending.config_name,
            "ProductionVariants": [_pending(endpoint, variant) for variant in endpoint.pending.variants],
            "StartTime": endpoint.pending.started,
        }
    return answer


def summary(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as ListEndpoints shows it."""
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointStatus": endpoint.status,
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.modified,
    }


def _data_capture(endpoint: Endpoint) -> dict[str, Any] | None:
    config = endpoint.shown.data_capture
    if config is None:
        return None
    enabled = config.get("EnableCapture", True)
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled and endpoint.status in SERVING else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }


def _serving(endpoint: Endpoint, variant: Variant, *, started: bool) -> dict[str, Any]:
    """A serving variant; while the endpoint only changes its size, with the size to come."""
    shown = _variant(endpoint, variant, started=started)
    pending = endpoint.pending
    wanted = pending.variant(variant.name) if pending and pending.in_place else None
    if wanted is None:
        return shown
    return shown | {
        "DesiredWeight": wanted.weight,
        "DesiredInstanceCount": None if wanted.serverless else wanted.instance_count,
        "DesiredServerlessConfig": wanted.serverless,
    }


def _pending(endpoint: Endpoint, variant: Variant) -> dict[str, Any]:
    status = {"Status": endpoint.stage, "StartTime": endpoint.stage_since}
    shown = _variant(endpoint, variant, started=endpoint.stage is not Stage.CREATING)
    return shown | {"VariantStatus": [status]}


def _variant(endpoint: Endpoint, variant: Variant, *, started: bool) -> dict[str, Any]:
    status = "Updating" if started else "Creating"
    in_progress = endpoint.status in IN_PROGRESS
    pools = [
        {
            "InstanceType": each,
            "CurrentInstanceCount": variant.instance_count if started and each == variant.pool else 0,
        }
        for each in variant.instance_types
    ]
    return {
        "VariantName": variant.name,
        "DeployedImages": list(variant.images) or None,
        "CurrentWeight": variant.weight if started else 0.0,
        "DesiredWeight": variant.weight,
        "CurrentInstanceCount": variant.instance_count if started else 0,
        "DesiredInstanceCount": None if variant.serverless else variant.instance_count,
        "InstanceType": variant.body.get("InstanceType"),
        "InstancePools": pools if "InstancePools" in variant.body else None,
        "RoutingConfig": variant.body.get("RoutingConfig"),
        "CurrentServerlessConfig": variant.serverless if started else None,
        "DesiredServerlessConfig": None if started else variant.serverless,
        "VariantStatus": [{"Status": status, "StartTime": endpoint.modified}] if in_progress else None,
    }
