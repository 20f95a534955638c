from contextlib import closing, nullcontext
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.compat import get_current_datetime
from botocore.exceptions import ClientError
from tests.fixtures.platform import Aws

from ephemeral_endpoints.aws.errors import translate
from ephemeral_endpoints.engine.errors import Unauthenticated

NEARLY = timedelta(minutes=4, seconds=30)
BEYOND = timedelta(minutes=6)
BEYOND_THAT_OF_S3 = timedelta(minutes=16)


@pytest.fixture
def signed_after(monkeypatch: pytest.MonkeyPatch) -> list[timedelta]:
    """By how much later, or earlier, than now calls are signed: the last in the list."""
    ahead = [timedelta()]

    def skewed() -> datetime:
        return get_current_datetime() + ahead[-1]

    monkeypatch.setattr("botocore.auth.get_current_datetime", skewed)
    return ahead


@pytest.mark.parametrize(
    ("service", "operation", "refusal"),
    [
        ("lambda", "list_functions", ("InvalidSignatureException", 403)),
        ("sagemaker", "list_models", ("InvalidSignatureException", 400)),
        ("sts", "get_caller_identity", ("SignatureDoesNotMatch", 403)),
    ],
)
def test_a_call_that_was_signed_more_than_five_minutes_ago_or_ahead_is_refused(
    fresh_aws: Aws, signed_after: list[timedelta], service: str, operation: str, refusal: tuple[str, int]
) -> None:
    call = getattr(fresh_aws.client(service), operation)
    for ahead in (NEARLY, -NEARLY):
        signed_after.append(ahead)
        call()
    for ahead, words in ((BEYOND, "Signature not yet current: "), (-BEYOND, "Signature expired: ")):
        signed_after.append(ahead)
        with pytest.raises(ClientError, match=words) as refused:
            call()
        answer = refused.value.response
        assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == refusal
        assert "date" in answer["ResponseMetadata"]["HTTPHeaders"], "by which clocks are compared"
        error = translate(refused.value, operation)
        assert isinstance(error, Unauthenticated)
        assert "correct the clock of the operator's node" in error.described
        assert "renew" not in error.described


def test_s3_allows_a_quarter_of_an_hour(fresh_aws: Aws, signed_after: list[timedelta]) -> None:
    signed_after.append(BEYOND)
    fresh_aws.client("s3").list_buckets()
    signed_after.append(BEYOND_THAT_OF_S3)
    with pytest.raises(ClientError, match="RequestTimeTooSkewed"):
        fresh_aws.client("s3").list_buckets()


@pytest.mark.parametrize(("region", "has_it"), [("eu-central-1", True), ("eu-west-1", False)])
def test_a_service_is_in_its_regions_only(aws: Aws, region: str, *, has_it: bool) -> None:
    session: Any = boto3.Session("test", "test", region_name=region)
    client = session.client("pricing", endpoint_url=aws.endpoint)
    refused = nullcontext() if has_it else pytest.raises(ClientError, match="scoped to a valid region")
    with closing(client), refused:
        assert client.get_products(ServiceCode="AmazonSageMaker", MaxResults=1)["PriceList"]
