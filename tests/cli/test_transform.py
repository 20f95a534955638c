"""Transform jobs, as an embedded SageMaker runs them."""

from dataclasses import replace
from typing import Any

import click
import pytest
from tests.engine.objects import endpoint
from tests.fixtures.containers import build_image
from tests.fixtures.platform import Aws
from tests.fixtures.sagemaker_jobs import WORKER

from eep_platform.aws import ministack
from eep_platform.aws.faults import Fault, FaultError
from eep_platform.containers import registry
from ephemeral_endpoints.api.v1alpha1.endpoint_status import Resource
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.cli.transform import s3_uri
from ephemeral_endpoints.cli.transform_jobs import Served, TransformFailed, Wanted, follow, job_name

ACCOUNT, REGION = ministack.ACCOUNT, ministack.REGION
SERVED = Served("e", REGION, ACCOUNT)
WANTED = Wanted("s3://batch/in/", "s3://batch/out/", "ml.m5.large", "text/plain", by_line=True, megabytes=6)


def with_resource(kind: str, arn: str | None) -> Any:  # noqa: ANN401 - an object
    made = endpoint()
    return made.model_copy(
        update={"status": made.status.model_copy(update={"resources": (Resource(kind=kind, name="e", arn=arn),)})}
    )


@pytest.mark.parametrize(
    ("kind", "arn", "found"),
    [
        pytest.param("Endpoint", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/e", SERVED, id="where the class says"),
        pytest.param("Model", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model/e", None, id="asleep: models only"),
        pytest.param("Endpoint", None, None, id="not created yet"),
    ],
)
def test_the_endpoint_is_that_of_the_status(kind: str, arn: str | None, found: Served | None) -> None:
    assert Served.of(with_resource(kind, arn)) == found


def test_names_of_jobs_are_what_sagemaker_takes() -> None:
    assert job_name("a.b", "20261130", "0123ab") == "a-b-20261130-0123ab"
    assert len(job_name("a" * 70, "20261130", "0123ab")) == 63


@pytest.mark.parametrize("text", ["batch/in", "https://batch/in", "s3://", "s3:///in"])
def test_other_urls_than_of_s3_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="s3://bucket/prefix/"):
        s3_uri(click.Context(click.Command("transform")), click.Option(["--x"]), text)


@pytest.fixture
def serving(fresh_aws: Aws, clients: Clients) -> Aws:
    """An endpoint without a model server, whose model has an image that runs."""
    image = build_image(WORKER)
    fresh_aws.client("ecr").create_repository(repositoryName="worker")
    registry.push(image, registry=fresh_aws.endpoint.removeprefix("http://"), repository="worker", tag="1")
    fresh_aws.control.patch_sagemaker_settings({"containers": "off", "behaviour": {"create_seconds": 0}})
    sagemaker, role = clients.sagemaker, f"arn:aws:iam::{ACCOUNT}:role/any"
    uri = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/worker:1"
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": uri})
    variant: Any = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    s3 = fresh_aws.client("s3")
    s3.create_bucket(Bucket="batch")
    s3.put_object(Bucket="batch", Key="in/a.txt", Body=b"1\n2\n")
    return fresh_aws


def test_what_is_below_a_prefix_is_predicted_with_the_model_that_is_served(serving: Aws) -> None:
    client, told = SERVED.connect(), list[str]()
    serving.control.patch_sagemaker_settings({"held_jobs": ["j"]})
    assert SERVED.start(client, WANTED, "j") == "m"
    follow(client, "j", lambda _: let_go(serving), told.append)
    assert told == ["InProgress", "Completed"]
    body = serving.client("s3").get_object(Bucket="batch", Key="out/a.txt.out")["Body"].read()
    assert body == b"[1]\n[2]\n"


def let_go(aws: Aws) -> None:
    aws.control.patch_sagemaker_settings({"held_jobs": []})


def test_a_lost_answer_is_no_second_job(serving: Aws) -> None:
    serving.control.add_faults(Fault(service="sagemaker", operation="CreateTransformJob", answer_lost=True, times=1))
    client = SERVED.connect()
    assert SERVED.start(client, WANTED, "j") == "m"
    follow(client, "j", lambda _: None, lambda _: None)
    assert len(client.list_transform_jobs()["TransformJobSummaries"]) == 1


@pytest.mark.usefixtures("serving")
def test_a_job_that_fails_says_why_and_where_its_logs_are() -> None:
    client = SERVED.connect()
    SERVED.start(client, replace(WANTED, source="s3://batch/nothing/"), "j")
    with pytest.raises(TransformFailed, match=r"j is Failed: ClientError: No S3 objects .*streams j/"):
        follow(client, "j", lambda _: None, lambda _: None)


def test_a_job_that_somebody_has_stopped_has_failed(clients: Clients, serving: Aws) -> None:
    serving.control.patch_sagemaker_settings({"held_jobs": ["j"]})
    client = SERVED.connect()
    SERVED.start(client, WANTED, "j")

    def somebody_stops(_: float) -> None:
        clients.sagemaker.stop_transform_job(TransformJobName="j")

    with pytest.raises(TransformFailed, match="j is Stopped: somebody has stopped it"):
        follow(client, "j", somebody_stops, lambda _: None)


@pytest.mark.usefixtures("clients")
def test_what_cannot_be_started_says_what_is_missing(fresh_aws: Aws) -> None:
    with pytest.raises(TransformFailed, match=f"of the account {ACCOUNT}, and the endpoint is in 210987654321"):
        replace(SERVED, account="210987654321").connect()
    denied = FaultError(code="AccessDeniedException", message="no", status=400)
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="DescribeEndpoint", error=denied, times=1))
    with pytest.raises(TransformFailed, match=r"no\. Ask whoever .* sagemaker:CreateTransformJob"):
        SERVED.start(SERVED.connect(), WANTED, "j")
