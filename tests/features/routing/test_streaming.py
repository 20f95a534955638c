import pytest
from tests.engine.objects import CLUSTER, endpoint, make_class

from ephemeral_endpoints.features.routing.streaming import openai_base_url
from ephemeral_endpoints.features.subject import Subject

INSTANCES = {"instances": {"type": "ml.m5.large"}}


@pytest.mark.parametrize(
    ("serving", "region", "host"),
    [
        ({}, "eu-west-1", None),
        (INSTANCES, "eu-west-1", "runtime.sagemaker.eu-west-1.amazonaws.com"),
        (INSTANCES, "cn-north-1", "runtime.sagemaker.cn-north-1.amazonaws.com.cn"),
        ({**INSTANCES, "asynchronous": {"s3Uri": "s3://bucket/queue"}}, "eu-west-1", None),
    ],
)
def test_models_on_instances_have_a_url_for_openai_clients(
    serving: dict[str, object], region: str, host: str | None
) -> None:
    subject = Subject(CLUSTER, endpoint({"spec": {"serving": serving}}), make_class({"spec": {"region": region}}))
    found = openai_base_url(subject)
    assert found == (host and f"https://{host}/endpoints/{subject.names.base}/openai/v1")
