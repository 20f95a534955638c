import io
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from tests.aws.cloud import IMAGE, ROLE, Cloud

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.aws.clients import Clients, Sessions
from ephemeral_endpoints.aws.errors import translate
from ephemeral_endpoints.engine import errors

Call = Callable[[Clients], object]

EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
SERVERLESS = {"MemorySizeInMB": 2048, "MaxConcurrency": 1}


def failure(clients: Clients, call: Call) -> errors.AwsError:
    """What a call that must fail is translated to."""
    try:
        call(clients)
    except (ClientError, BotoCoreError, ResponseParserError) as error:
        return translate(error, "Operation")
    return pytest.fail("the call succeeded")


def variant(model: str) -> Any:  # noqa: ANN401 - as the client takes it
    return {"VariantName": "main", "ModelName": model, "ServerlessConfig": SERVERLESS}


def create_model(clients: Clients) -> object:
    return clients.sagemaker.create_model(ModelName="m", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE)


def create_config(clients: Clients) -> object:
    return clients.sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant("m")])


def create_endpoint(clients: Clients) -> object:
    return clients.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")


def create_group(clients: Clients) -> object:
    return clients.logs.create_log_group(logGroupName="/g")


def create_function(clients: Clients) -> object:
    return clients.lambda_.create_function(
        FunctionName="f", Role=ROLE, Runtime="python3.13", Handler="a.b", Code={"ZipFile": EMPTY_ZIP}
    )


def create_repository(clients: Clients) -> object:
    return clients.ecr.create_repository(repositoryName="models")


OF_AWS: list[tuple[str, Call, type[errors.AwsError]]] = [
    ("absent model", lambda c: c.sagemaker.describe_model(ModelName="x"), errors.NotFound),
    ("absent config", lambda c: c.sagemaker.describe_endpoint_config(EndpointConfigName="x"), errors.NotFound),
    ("absent endpoint", lambda c: c.sagemaker.describe_endpoint(EndpointName="x"), errors.NotFound),
    ("endpoint deleted twice", lambda c: c.sagemaker.delete_endpoint(EndpointName="x"), errors.NotFound),
    ("model deleted twice", lambda c: c.sagemaker.delete_model(ModelName="x"), errors.NotFound),
    ("config of an absent model", create_config, errors.NotFound),
    ("endpoint of an absent config", create_endpoint, errors.NotFound),
    ("absent function", lambda c: c.lambda_.get_function_configuration(FunctionName="x"), errors.NotFound),
    ("function deleted twice", lambda c: c.lambda_.delete_function(FunctionName="x"), errors.NotFound),
    ("absent API", lambda c: c.apigateway.get_api(ApiId="x"), errors.NotFound),
    ("API deleted twice", lambda c: c.apigateway.delete_api(ApiId="x"), errors.NotFound),
    ("absent log group", lambda c: c.logs.delete_log_group(logGroupName="/x"), errors.NotFound),
    ("absent repository", lambda c: c.ecr.describe_images(repositoryName="absent"), errors.NotFound),
    (
        "a repository that nothing expires in",
        lambda c: (create_repository(c), c.ecr.get_lifecycle_policy(repositoryName="models")),
        errors.NotFound,
    ),
    (
        "tags of an absent alarm",
        lambda c: c.cloudwatch.list_tags_for_resource(ResourceARN="arn:aws:cloudwatch:us-east-1:0:alarm:x"),
        errors.NotFound,
    ),
    (
        "a retention that CloudWatch does not offer",
        lambda c: (create_group(c), c.logs.put_retention_policy(logGroupName="/g", retentionInDays=2)),
        errors.Invalid,
    ),
    (
        "a name that is too long",
        lambda c: c.sagemaker.create_endpoint(EndpointName="x" * 64, EndpointConfigName="c"),
        errors.Invalid,
    ),
    ("a parameter that botocore refuses", lambda c: c.logs.create_log_group(logGroupName=""), errors.Invalid),
]


@pytest.mark.parametrize(("call", "expected"), [row[1:] for row in OF_AWS], ids=[row[0] for row in OF_AWS])
def test_what_aws_says_is_understood(cloud: Cloud, call: Call, expected: type[errors.AwsError]) -> None:
    assert type(failure(cloud.clients, call)) is expected


@pytest.mark.parametrize(
    ("before", "call"),
    [
        ([], create_model),
        ([create_model], create_config),
        ([create_model, create_config], create_endpoint),
        ([], create_group),
        ([], create_function),
        ([], create_repository),
    ],
)
def test_every_service_reports_a_taken_name_as_already_existing(cloud: Cloud, before: list[Call], call: Call) -> None:
    for each in (*before, call):
        each(cloud.clients)
    assert type(failure(cloud.clients, call)) is errors.AlreadyExists


def test_an_endpoint_in_progress_and_a_quota_are_distinguished_from_bad_requests(cloud: Cloud) -> None:
    cloud.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": True}, "quotas": {"serverless_endpoints": 1}})
    for each in (create_model, create_config, create_endpoint):
        each(cloud.clients)
    sagemaker = cloud.clients.sagemaker
    busy = failure(cloud.clients, lambda _: sagemaker.delete_endpoint(EndpointName="e"))
    full = failure(cloud.clients, lambda _: sagemaker.create_endpoint(EndpointName="another", EndpointConfigName="c"))
    assert (type(busy), type(full)) == (errors.InProgress, errors.QuotaExceeded)


PROTOCOLS: dict[str, Call] = {
    "sagemaker": lambda c: c.sagemaker.list_models(),  # JSON
    "logs": lambda c: c.logs.describe_log_groups(),  # JSON
    "cloudwatch": lambda c: c.cloudwatch.describe_alarms(),  # JSON, that was query
    "apigatewayv2": lambda c: c.apigateway.get_apis(),  # REST-JSON
    "lambda": lambda c: c.lambda_.list_functions(),  # REST-JSON
    "sts": lambda c: c.sts.get_caller_identity(),  # query
}


def answer(code: str, status: int, message: str = "") -> dict[str, Any]:
    return {"error": FaultError(code=code, status=status, message=message)}


FAULTS: list[tuple[str, dict[str, Any], type[errors.AwsError]]] = [
    ("throttled", answer("ThrottlingException", 400), errors.Throttled),
    ("throttled by its status too", answer("TooManyRequestsException", 429), errors.Throttled),
    ("throttled with a server error", answer("Throttling", 503), errors.Throttled),
    ("internal error", answer("InternalFailure", 500), errors.Transient),
    ("unavailable", answer("ServiceUnavailable", 503), errors.Transient),
    ("a request that did not arrive in time", answer("RequestTimeout", 408), errors.Transient),
    ("denied", answer("AccessDeniedException", 403, "not authorized to perform"), errors.Denied),
    ("expired credentials", answer("ExpiredTokenException", 403), errors.Unauthenticated),
    ("expired credentials of query services", answer("ExpiredToken", 403), errors.Unauthenticated),
    ("unknown credentials", answer("UnrecognizedClientException", 400), errors.Unauthenticated),
    ("wrong signature", answer("InvalidSignatureException", 403), errors.Unauthenticated),
    ("reset connection", {"reset": True}, errors.Transient),
    ("lost answer", {"answer_lost": True}, errors.Transient),
    ("gateway timeout", {"timeout_seconds": 0.001}, errors.Transient),
]


@pytest.mark.parametrize(("fault", "expected"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_failure_is_understood_in_every_protocol(
    cloud: Cloud, fault: dict[str, Any], expected: type[errors.AwsError]
) -> None:
    cloud.aws.control.add_faults(*(Fault(service=service, **fault) for service in PROTOCOLS))
    understood = {service: type(failure(cloud.clients, call)) for service, call in PROTOCOLS.items()}
    assert understood == dict.fromkeys(PROTOCOLS, expected)


RULES = [
    (
        "one code for several things",
        "ResourceConflictException",
        "Function already exist: f",
        409,
        errors.AlreadyExists,
    ),
    (
        "Lambda is still at work",
        "ResourceConflictException",
        "The operation cannot be performed at this time. An update is in progress for resource: f",
        409,
        errors.InProgress,
    ),
    ("a route that is there", "ConflictException", "Route with key ANY /x already exists", 409, errors.AlreadyExists),
    (
        "API Gateway is still at work",
        "ConflictException",
        "Unable to complete operation due to concurrent modification. Please try again later.",
        409,
        errors.InProgress,
    ),
    (
        "a role that has not spread yet, Lambda",
        "InvalidParameterValueException",
        "The role defined for the function cannot be assumed by Lambda.",
        400,
        errors.Denied,
    ),
    (
        "a role that has not spread yet, SageMaker",
        "ValidationException",
        "Could not assume role arn:aws:iam::1:role/x. Please ensure that the role exists",
        400,
        errors.Denied,
    ),
    (
        "the policy of a repository",
        "ValidationException",
        (
            "The repository of your image 111122223333.dkr.ecr.us-east-1.amazonaws.com/x:1 does not grant "
            "ecr:GetDownloadUrlForLayer, ecr:BatchGetImage, ecr:BatchCheckLayerAvailability permission to "
            "sagemaker.amazonaws.com service principal."
        ),
        400,
        errors.Denied,
    ),
    (
        "the policy of a bucket, or model data that is uploaded yet",
        "ValidationException",
        (
            'Could not access model data at s3://b/m.tar.gz. Please ensure that the role "r" exists and that its trust '
            'relationship policy allows the action "sts:AssumeRole". Also ensure that the role has "s3:GetObject" '
            "permissions and that the object is located in us-east-1."
        ),
        400,
        errors.Denied,
    ),
    (
        "a role without access to the registry",
        "ValidationException",
        "The role 'r' does not have BatchGetImage permission for the image: 'i'.",
        400,
        errors.Denied,
    ),
    ("what another service denies", "ValidationException", "Access denied to the KMS key k", 400, errors.Denied),
    (
        "builds beyond those that may run and wait",
        "AccountLimitExceededException",
        "Cannot have more than 5 builds in queue for the account",
        400,
        errors.QuotaExceeded,
    ),
    (
        "a build that another was begun for with the same token",
        "InvalidInputException",
        "Parameter mismatch: the idempotency token already exists",
        400,
        errors.Invalid,
    ),
    ("a project that is gone", "ResourceNotFoundException", "Project cannot be found: p", 400, errors.NotFound),
    ("an image that was never scanned", "ScanNotFoundException", "Image scan is missing", 400, errors.NotFound),
    ("the quota of a service", "ResourceLimitExceeded", "The account-level service limit", 400, errors.QuotaExceeded),
    ("an unknown code of the caller's fault", "SomethingNew", "", 400, errors.Invalid),
    ("an unknown code of the service's fault", "SomethingNew", "", 500, errors.Transient),
    ("words that mislead in a server error", "InternalError", "The lock was not found", 500, errors.Transient),
    ("no code at all", "502", "Bad Gateway", 502, errors.Transient),
]


@pytest.mark.parametrize(
    ("code", "message", "status", "expected"), [row[1:] for row in RULES], ids=[row[0] for row in RULES]
)
def test_where_a_code_says_too_little_the_message_and_the_status_decide(
    code: str, message: str, status: int, expected: type[errors.AwsError]
) -> None:
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert type(translate(ClientError(response, "Operation"), "Operation")) is expected


def test_messages_are_one_line_of_bounded_length_with_operation_and_code() -> None:
    response: Any = {"Error": {"Code": "SomethingNew", "Message": "a\n  b " + "x" * 1000}}
    error = translate(ClientError(response, "Operation"), "CreateThing")
    assert str(error).startswith("CreateThing: a b xxx")
    assert len(error.message) == 600
    short: Any = {"Error": {"Code": "SomethingNew"}}
    assert translate(ClientError(short, "Operation"), "CreateThing").message == "SomethingNew (SomethingNew)"


def test_a_service_that_is_not_there_is_transient(cloud: Cloud) -> None:
    nowhere = boto3.client("sts", endpoint_url="http://127.0.0.1:1", config=Config(retries={"total_max_attempts": 1}))
    assert type(failure(cloud.clients, lambda _: nowhere.get_caller_identity())) is errors.Transient


def test_an_answer_that_is_no_answer_is_transient(clients: Clients) -> None:
    class Raw(io.BytesIO):
        def stream(self) -> Any:  # noqa: ANN401 - what botocore reads bodies by
            yield self.read()

    def garble(**_: object) -> AWSResponse:
        return AWSResponse("http://x", 200, HTTPHeaders(), Raw(b"<html>proxy"))

    sts = Sessions(connections=1).connect(clients.region).sts
    sts.meta.events.register("before-send.sts", garble)  # type: ignore[arg-type]  # whose answer is the answer
    assert type(failure(clients, lambda _: sts.get_caller_identity())) is errors.Transient


def test_missing_credentials_are_unauthenticated(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    bare = Sessions(connections=1).connect(clients.region)
    assert type(failure(bare, lambda c: c.sts.get_caller_identity())) is errors.Unauthenticated
