from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.eep_platform.sagemaker.conftest import Service

DIMENSION = "sagemaker:variant:DesiredInstanceCount"


def test_invocations_scale_a_variant_out_and_silence_scales_it_in_again(service: "Service") -> None:
    """One minute of the policy passes in half a second while there are invocations, then in a twentieth of one."""
    service.settings(autoscaling_seconds_per_second=120, behaviour={"update_seconds": 0})
    name = service.endpoint(service.config_of(service.instances()))
    process = service.invoke(name)["pid"]
    scaling: Any = service.client("application-autoscaling")
    where = {
        "ServiceNamespace": "sagemaker",
        "ScalableDimension": DIMENSION,
        "ResourceId": f"endpoint/{name}/variant/AllTraffic",
    }
    scaling.register_scalable_target(**where, MinCapacity=1, MaxCapacity=3)
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    scaling.put_scaling_policy(
        **where,
        PolicyName="p",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 0.1,
            "PredefinedMetricSpecification": metric,
            "ScaleInCooldown": 2400,
        },
    )
    service.eventually(lambda: service.invoke(name) and count(service, name) == 3, "scaled out to the maximum")
    assert service.invoke(name)["pid"] == process
    service.settings(autoscaling_seconds_per_second=1200)
    service.eventually(lambda: count(service, name) == 1, "scaled in to the minimum")
    reported = scaling.describe_scaling_activities(ServiceNamespace="sagemaker", ResourceId=where["ResourceId"])
    times = {activity["Description"]: activity["StartTime"] for activity in reported["ScalingActivities"]}
    out, in_ = (times[f"Setting desired instance count to {size}."] for size in (3, 1))
    assert (in_ - out).total_seconds() >= 1.9, "the cooldown of 2400 seconds, but for the rounding of times"


def count(service: "Service", name: str) -> int:
    return service.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"][0]["DesiredInstanceCount"]
