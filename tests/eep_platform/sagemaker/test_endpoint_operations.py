import io
import tarfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import requests
from botocore.exceptions import ClientError
from tests.eep_platform.sagemaker.conftest import put_manifest

from eep_platform.containers.image import DOCKER_MANIFEST, INDEX

if TYPE_CHECKING:
    from tests.eep_platform.sagemaker.conftest import Service

ARN = "arn:aws:sagemaker:us-east-1:000000000000"
PING_FAILED = (
    "The primary container for production variant AllTraffic did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
)

CANNOT_START = (
    "CannotStartContainerError. Please ensure the model container for variant AllTraffic starts correctly when invoked "
    "with 'docker run <image> serve'"
)


def refusal(call: Any, **request: Any) -> str:  # noqa: ANN401 - any operation
    with pytest.raises(ClientError) as raised:
        call(**request)
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return str(raised.value.response["Error"]["Message"])


def archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_an_endpoint_passes_through_creating_to_in_service(service: "Service") -> None:
    service.settings(behaviour={"stuck": True})
    config, name = service.config(), service.name()
    answer = service.sagemaker.create_endpoint(
        EndpointName=name, EndpointConfigName=config, Tags=[{"Key": "k", "Value": "v"}]
    )
    assert answer["EndpointArn"] == f"{ARN}:endpoint/{name}"
    creating = service.sagemaker.describe_endpoint(EndpointName=name)
    assert creating["EndpointStatus"] == "Creating"
    assert creating["ProductionVariants"][0]["VariantStatus"][0]["Status"] == "Creating"
    service.settings(behaviour={"stuck": False})
    service.wait(name, "InService")
    ready = service.sagemaker.describe_endpoint(EndpointName=name)
    assert ready["EndpointConfigName"] == config
    assert ready["LastModifiedTime"] >= ready["CreationTime"] == creating["CreationTime"]
    [variant] = ready["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 2}
    [image] = variant["DeployedImages"]
    assert image["ResolvedImage"] == f"{service.image.removesuffix(':1')}@{service.digest}"


def test_the_runtime_pulls_by_digest_from_the_registry_of_the_aws(service: "Service") -> None:
    service.endpoint()
    address = service.aws_url.removeprefix("http://")
    assert service.runtime.pulled[-1] == f"{address}/models/sentiment@{service.digest}"


@pytest.mark.parametrize(
    ("environment", "settings", "reason"),
    [
        pytest.param({"MODE": "crash"}, {}, PING_FAILED, id="the server ends at start"),
        pytest.param({"MODE": "no-such-program"}, {}, CANNOT_START, id="the image has no such command"),
        pytest.param({"MODE": "never-healthy"}, {"ping_timeout_seconds": 0.6}, PING_FAILED, id="it is never healthy"),
        pytest.param({}, {"behaviour": {"create_failure": "no capacity"}}, "no capacity", id="a failure is set"),
        pytest.param({}, {"behaviour": {"create_failure": ""}}, None, id="a failure without a reason is set"),
    ],
)
def test_a_creation_that_fails_can_only_be_deleted(
    service: "Service", environment: dict[str, str], settings: dict[str, Any], reason: str | None
) -> None:
    service.settings(**settings)
    config = service.config(service.model(**environment))
    name = service.endpoint(config, status="Failed")
    assert service.sagemaker.describe_endpoint(EndpointName=name).get("FailureReason") == reason
    assert _no_container_of(service, name)
    assert "Failed" in refusal(service.sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=config)
    service.sagemaker.delete_endpoint(EndpointName=name)
    service.eventually(lambda: _is_gone(service, name), "the endpoint is gone")


def _is_gone(service: "Service", name: str) -> bool:
    return name not in {endpoint["name"] for endpoint in service.state()["endpoints"]}


def test_a_server_that_is_slow_to_answer_pings_stays_in_creating(service: "Service") -> None:
    service.settings(ping_timeout_seconds=3600)
    name = service.endpoint(service.config(service.model(MODE="never-healthy")), status="Creating")
    service.eventually(lambda: not _no_container_of(service, name), "the server runs")
    assert service.status(name) == "Creating"


def _no_container_of(service: "Service", name: str) -> bool:
    return not any(name in container["name"] for container in service.state()["containers"])


def test_a_tag_that_moves_to_an_index_after_its_model_was_made_fails_the_endpoint(service: "Service") -> None:
    ecr, image = service.aws("ecr"), service.image.replace(":1", ":moves")
    put_manifest(ecr, "moves", DOCKER_MANIFEST)
    config = service.config(service.model(image=image))
    put_manifest(ecr, "moves", INDEX)
    name = service.endpoint(config, status="Failed")
    reason = service.sagemaker.describe_endpoint(EndpointName=name)["FailureReason"]
    assert reason.startswith(f"Unsupported manifest media type {INDEX} for image {image}.")


@pytest.mark.parametrize("image", ["models/sentiment:absent", "no/such-repository:1"])
def test_a_missing_image_fails_the_endpoint(service: "Service", image: str) -> None:
    uri = service.image.partition("/")[0] + "/" + image
    name = service.endpoint(service.config(service.model(image=uri)), status="Failed")
    assert service.sagemaker.describe_endpoint(EndpointName=name)["FailureReason"] == (
        "Please make sure all images included in the model for the production variant AllTraffic exist, and that the "
        "execution role used to create the model has permissions to access them."
    )


def test_model_data_is_unpacked_for_the_server(service: "Service") -> None:
    bucket = service.name()
    s3 = service.aws("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="m/model.tar.gz", Body=archive(weights=b"1", labels=b"2"))
    name = service.endpoint(service.config(service.model(data=f"s3://{bucket}/m/model.tar.gz")))
    assert service.invoke(name)["modelData"] == {"labels": "2", "weights": "1"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "Failed to download model data for container", id="no such object"),
        pytest.param(b"not an archive", "Unable to extract model data archive", id="not an archive"),
        pytest.param(archive(x=b"x" * 9999)[:-20], "Unable to extract model data archive", id="cut off"),
        pytest.param(archive(**{"../../out": b"x"}), "Unable to extract model data archive", id="leaves its folder"),
    ],
)
def test_model_data_that_cannot_be_had_fails_the_endpoint(service: "Service", content: bytes, reason: str) -> None:
    bucket = service.name()
    s3 = service.aws("s3")
    s3.create_bucket(Bucket=bucket)
    if content:
        s3.put_object(Bucket=bucket, Key="model.tar.gz", Body=content)
    url = f"s3://{bucket}/model.tar.gz"
    name = service.endpoint(service.config(service.model(data=url)), status="Failed")
    failure = service.sagemaker.describe_endpoint(EndpointName=name)["FailureReason"]
    assert failure.startswith(reason)
    assert url in failure


def test_in_progress_endpoints_refuse_every_change(service: "Service") -> None:
    service.settings(behaviour={"stuck": True})
    config = service.config()
    name = service.endpoint(config, status="Creating")
    expected = f'Cannot update in-progress endpoint "{ARN}:endpoint/{name}".'
    weights = [{"VariantName": "AllTraffic", "DesiredWeight": 1.0}]
    for call, more in (
        (service.sagemaker.delete_endpoint, {}),
        (service.sagemaker.update_endpoint, {"EndpointConfigName": config}),
        (service.sagemaker.update_endpoint_weights_and_capacities, {"DesiredWeightsAndCapacities": weights}),
    ):
        assert refusal(call, EndpointName=name, **more) == expected


def test_deleting_frees_the_name_only_when_it_is_done(service: "Service") -> None:
    service.settings(behaviour={"delete_seconds": 3600})
    config = service.config()
    name = service.endpoint(config)
    process = psutil.Process(service.invoke(name)["pid"])
    service.sagemaker.delete_endpoint(EndpointName=name)
    assert service.status(name) == "Deleting"
    assert "in-progress" in refusal(service.sagemaker.delete_endpoint, EndpointName=name)
    taken = refusal(service.sagemaker.create_endpoint, EndpointName=name, EndpointConfigName=config)
    assert taken == f'Cannot create already existing endpoint "{ARN}:endpoint/{name}".'
    service.settings(behaviour={"delete_seconds": 0})
    service.eventually(lambda: _is_gone(service, name), "the endpoint is gone")
    assert not process.is_running()
    service.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)


def test_names_of_endpoints_are_case_insensitive_in_the_control_plane(service: "Service") -> None:
    name = service.endpoint()
    assert service.sagemaker.describe_endpoint(EndpointName=name.upper())["EndpointName"] == name
    taken = refusal(service.sagemaker.create_endpoint, EndpointName=name.upper(), EndpointConfigName=service.config())
    assert taken.startswith("Cannot create already existing endpoint")


def test_an_update_shows_the_old_configuration_until_it_is_done(service: "Service") -> None:
    old, new = service.config(), service.config()
    name = service.endpoint(old)
    service.settings(behaviour={"stuck": True})
    service.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new)
    updating = service.sagemaker.describe_endpoint(EndpointName=name)
    assert (updating["EndpointStatus"], updating["EndpointConfigName"]) == ("Updating", old)
    assert updating["PendingDeploymentSummary"]["EndpointConfigName"] == new
    service.settings(behaviour={"stuck": False})
    service.wait(name, "InService")
    assert service.sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"] == new


def test_a_change_of_size_shows_what_is_wanted_and_what_is(service: "Service") -> None:
    service.settings(containers="off")
    name = service.endpoint(service.config_of(service.instances(count=2)))
    service.settings(behaviour={"stuck": True})
    change: Any = {"VariantName": "AllTraffic", "DesiredInstanceCount": 5, "DesiredWeight": 0.5}
    service.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=[change])
    updating: Any = service.sagemaker.describe_endpoint(EndpointName=name)
    [variant] = updating["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (2, 5)
    assert (variant["CurrentWeight"], variant["DesiredWeight"]) == (1.0, 0.5)
    assert "PendingDeploymentSummary" not in updating
    service.settings(behaviour={"stuck": False})
    service.wait(name, "InService")
    [variant] = service.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (5, 0.5)


def test_instances_of_which_aws_has_none_fail_a_creation_and_roll_an_update_back(service: "Service") -> None:
    service.settings(containers="off", capacity_shortages=["ml.g5.xlarge"])
    scarce, plenty = service.instances() | {"InstanceType": "ml.g5.xlarge"}, service.instances()
    created = service.endpoint(service.config_of(scarce), status="Failed")
    updated = service.endpoint(service.config_of(plenty))
    old = service.sagemaker.describe_endpoint(EndpointName=updated)["EndpointConfigName"]
    service.sagemaker.update_endpoint(EndpointName=updated, EndpointConfigName=service.config_of(scarce))
    service.wait(updated, "InService")
    for name in (created, updated):
        assert "InsufficientInstanceCapacity" in service.sagemaker.describe_endpoint(EndpointName=name)["FailureReason"]
    assert service.sagemaker.describe_endpoint(EndpointName=updated)["EndpointConfigName"] == old


@pytest.mark.parametrize(
    ("environment", "behaviour", "reason", "ends"),
    [
        pytest.param({"MODE": "crash"}, {}, PING_FAILED, "InService", id="the new server crashes"),
        pytest.param({}, {"update_failure": "no"}, "no", "InService", id="a failure is set"),
        pytest.param({}, {"update_failure": ""}, None, "InService", id="a failure without a reason"),
        pytest.param(
            {}, {"update_failure": "no", "forgets_failures": True}, None, "InService", id="the reason is dropped"
        ),
        pytest.param({}, {"update_failure": "no", "rollback_fails": True}, "no", "UpdateRollbackFailed", id="twice"),
    ],
)
def test_a_failed_update_rolls_back_to_the_old_configuration(
    service: "Service", environment: dict[str, str], behaviour: dict[str, Any], reason: str | None, ends: str
) -> None:
    old = service.config(service.model(REVISION="old"))
    name = service.endpoint(old)
    new = service.config(service.model(REVISION="new", **environment))
    service.settings(behaviour={"rollback_seconds": 3600} | behaviour)
    service.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new)
    service.wait(name, "RollingBack")
    service.settings(behaviour={"rollback_seconds": 0})
    service.wait(name, ends)
    ended = service.sagemaker.describe_endpoint(EndpointName=name)
    assert (ended["EndpointConfigName"], ended.get("FailureReason")) == (old, reason)
    assert service.invoke(name)["revision"] == "old"
    service.settings(behaviour={"update_failure": None})
    again = service.config(service.model(REVISION="again"))
    service.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=again)
    service.wait(name, "InService")
    assert "FailureReason" not in service.sagemaker.describe_endpoint(EndpointName=name)
    assert service.invoke(name)["revision"] == "again"


def test_overrides_reach_only_the_endpoints_that_they_name(service: "Service") -> None:
    config, doomed, fine = service.config(), f"doomed-{service.name()}", service.name()
    service.settings(overrides={"doomed-*": {"create_failure": "as set"}})
    for name in (doomed, fine):
        service.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    service.wait(doomed, "Failed")
    service.wait(fine, "InService")


def test_unknown_resources_are_not_found(service: "Service") -> None:
    api, name = service.sagemaker, service.endpoint()
    assert refusal(api.describe_endpoint, EndpointName="No") == f'Could not find endpoint "{ARN}:endpoint/no".'
    missing = f'Could not find endpoint configuration "{ARN}:endpoint-config/no".'
    assert refusal(api.create_endpoint, EndpointName="new", EndpointConfigName="no") == missing
    assert refusal(api.update_endpoint, EndpointName=name, EndpointConfigName="no") == missing
    assert refusal(api.describe_model, ModelName="no") == f'Could not find model "{ARN}:model/no".'


def test_a_configuration_deleted_in_use_is_a_violation_and_blocks_changes(service: "Service") -> None:
    config = service.config()
    name = service.endpoint(config)
    service.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    [violation] = service.state()["violations"]
    assert violation["rule"] == "EndpointConfigInUseDeleted"
    lost = f'Could not find endpoint configuration "{ARN}:endpoint-config/{config}".'
    assert refusal(service.sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=service.config()) == lost
    assert service.invoke(name)["bytes"] == 1
    service.sagemaker.delete_endpoint(EndpointName=name)


@pytest.mark.parametrize("victim", ["configuration", "model"])
def test_what_is_deleted_under_a_creation_hangs_it(service: "Service", victim: str) -> None:
    service.settings(behaviour={"create_seconds": 3600}, missing_dependency_seconds=0.5)
    model = service.model()
    config = service.config(model)
    name = service.endpoint(config, status="Creating")
    if victim == "model":
        service.sagemaker.delete_model(ModelName=model)
    else:
        service.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    assert len(service.state()["violations"]) == 1
    began = datetime.now(UTC)
    service.settings(behaviour={"create_seconds": 0})
    service.wait(name, "Failed")
    created = service.sagemaker.describe_endpoint(EndpointName=name)
    assert (created["LastModifiedTime"] - began).total_seconds() >= 0.5
    assert _no_container_of(service, name)


def test_deleting_what_no_endpoint_needs_any_more_is_no_violation(service: "Service") -> None:
    old, new = service.config(), service.config()
    name = service.endpoint(old)
    service.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new)
    service.wait(name, "InService")
    service.sagemaker.delete_endpoint_config(EndpointConfigName=old)
    service.sagemaker.delete_endpoint(EndpointName=name)
    service.sagemaker.delete_endpoint_config(EndpointConfigName=new)
    assert service.state()["violations"] == []


def test_quotas_are_held_with_the_services_words(service: "Service") -> None:
    config = service.config(concurrency=7)
    held = {"serverless_endpoints": "unlimited", "serverless_concurrency": 6}
    service.settings(quotas=held | {"instances": {"ml.m5.large": 0}})
    with pytest.raises(service.sagemaker.exceptions.ResourceLimitExceeded) as raised:
        service.sagemaker.create_endpoint(EndpointName=service.name(), EndpointConfigName=config)
    assert "and a request delta of 7 " in str(raised.value)
    instances = service.config(instances=True)
    with pytest.raises(service.sagemaker.exceptions.ResourceLimitExceeded) as raised:
        service.sagemaker.create_endpoint(EndpointName=service.name(), EndpointConfigName=instances)
    assert "'ml.m5.large for endpoint usage' is 0 Instances, with current utilization of " in str(raised.value)


def test_an_endpoint_on_instances_cannot_become_serverless(service: "Service") -> None:
    name = service.endpoint(service.config(instances=True))
    refused = refusal(service.sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=service.config())
    assert "serverless" in refused


def test_system_updates_and_outages_come_from_the_control_api(service: "Service") -> None:
    name = service.endpoint()
    service.settings(behaviour={"update_seconds": 3600})
    assert requests.post(f"{service.url}/_sagemaker/endpoints/{name}/system-update", timeout=60).status_code == 204
    assert service.status(name) == "SystemUpdating"
    assert service.invoke(name)["bytes"] == 1
    assert "in-progress" in refusal(service.sagemaker.delete_endpoint, EndpointName=name)
    service.settings(behaviour={"update_seconds": 0})
    service.wait(name, "InService")
    assert requests.post(f"{service.url}/_sagemaker/endpoints/{name}/out-of-service", timeout=60).status_code == 204
    assert service.status(name) == "OutOfService"
    service.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=service.config())
    service.wait(name, "InService")


def test_without_containers_the_states_go_on_and_nothing_runs(service: "Service") -> None:
    service.settings(containers="off", behaviour={"create_seconds": 0})
    name = service.endpoint()
    assert _no_container_of(service, name)
    with pytest.raises(ClientError, match="containers are off"):
        service.invoke(name)
    service.sagemaker.delete_endpoint(EndpointName=name)
    service.eventually(lambda: _is_gone(service, name), "the endpoint is gone")
