"""The model's side of the forwarder: one InvokeEndpoint call, and what its errors mean to the caller."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, ConnectTimeoutError, ReadTimeoutError

from ephemeral_endpoints.forwarder.config import is_variant_name
from ephemeral_endpoints.forwarder.messages import Answer, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    # Stubs, which are there for the type checker only.
    from types_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from types_boto3_sagemaker_runtime.type_defs import InvokeEndpointInputTypeDef

    from ephemeral_endpoints.forwarder.variants import Target

T = TypeVar("T")

CONNECT_SECONDS = 2
# With connecting and a cold start this stays below the 30 s after which API Gateway answers in our stead.
READ_SECONDS = 25


class Context(Protocol):
    """What the forwarder uses of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends this invocation."""


class Request(NamedTuple):
    """What a model is sent; without ``content_type`` and ``accept``, SageMaker's own."""

    body: bytes
    content_type: str | None = None
    accept: str | None = None


PROBE = Request(b"{}", "application/json")
"""What a model is asked to see whether it answers; it may refuse it."""


def make_client(region: str, *, read_seconds: float = READ_SECONDS) -> SageMakerRuntimeClient:
    """A client that tries once: a second attempt after a timeout would outlast API Gateway's patience.

    Takes longer than answering a request, so it is made once per process.
    """
    return boto3.client(
        "sagemaker-runtime",
        region_name=region,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=read_seconds,
            retries={"total_max_attempts": 1, "mode": "standard"},
            tcp_keepalive=True,
        ),
    )


def invoke(client: SageMakerRuntimeClient, context: Context, target: Target, request: Request) -> Answer:
    """The model's answer and its variant; raises Problem 502, 503 or 504 if there is none; blocks for at most 27 s."""
    arguments = _arguments(target, request)
    try:
        output = send(lambda: client.invoke_endpoint(**arguments), context, READ_SECONDS)
        variant = _answered_by(target, output.get("InvokedProductionVariant"))
        # Read whole: botocore notices an answer that was cut short only if no amount is named.
        return Answer(HTTPStatus.OK, output.get("ContentType", ""), output["Body"].read(), variant)
    except ClientError as error:
        return _model_refusal(error, target)
    except (ConnectTimeoutError, ReadTimeoutError) as error:
        raise _no_answer() from error
    except BotoCoreError as error:
        raise unavailable("service-unavailable", "SageMaker could not be reached.", retry_after=5) from error


def send(call: Callable[[], T], context: Context, read_seconds: float) -> T:
    """Do ``call``, one of SageMaker: again if the connection turns out closed, and the time suffices."""
    try:
        return call()
    except ConnectionClosedError:
        # Lambda freezes the process between requests: a pooled connection may have been closed meanwhile, unseen.
        if context.get_remaining_time_in_millis() < (CONNECT_SECONDS + read_seconds) * 1000:
            raise
        return call()


def _arguments(target: Target, request: Request) -> InvokeEndpointInputTypeDef:
    arguments: InvokeEndpointInputTypeDef = {"EndpointName": target.endpoint_name, "Body": request.body}
    if request.content_type:
        arguments["ContentType"] = request.content_type
    if request.accept:
        arguments["Accept"] = request.accept
    if target.shared and target.variant:
        arguments["TargetVariant"] = target.variant
    return arguments


def _answered_by(target: Target, told: str | None) -> str | None:
    """The variant that answered; SageMaker knows it by the name that callers know only where it is one of several."""
    if target.shared and told and is_variant_name(told):
        return told
    return target.variant


def _model_refusal(error: ClientError, target: Target) -> Answer:
    """The model's own 4xx answer; raises Problem for every other error."""
    # The members of an error shape stand beside "Error", where botocore's types do not expect them.
    response: Mapping[str, Any] = error.response
    code = response["Error"].get("Code", "")
    if code != "ModelError":
        raise service_problem(error) from error
    status = response.get("OriginalStatusCode") or 0
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        message = response.get("OriginalMessage") or ""
        # SageMaker does not tell the content type of a refusal.
        content_type = "application/json" if _is_json(message) else "text/plain; charset=utf-8"
        # The shape of a refusal has no variant, so that it is known only if the header comes with it too.
        told = response["ResponseMetadata"]["HTTPHeaders"].get("x-amzn-invoked-production-variant")
        return Answer(status, content_type, message.encode(errors="replace"), _answered_by(target, told))
    if status == 0:  # "Received server error (0)": the container was too slow, or gone.
        raise _no_answer() from error
    raise Problem(HTTPStatus.BAD_GATEWAY, "model-error", "The model failed on this request; see its log.") from error


def service_problem(error: ClientError) -> Problem:
    """What SageMaker's own refusal means to the caller (SageMaker Runtime API reference, errors of InvokeEndpoint)."""
    response = error.response
    code = response["Error"].get("Code", "")
    status = response["ResponseMetadata"].get("HTTPStatusCode", 0)
    if code == "ModelNotReadyException":
        return unavailable("model-not-ready", "The model is being started.", retry_after=3)
    if code == "ValidationError" and re.search("not found|not find", response["Error"].get("Message", "")):
        return unavailable("endpoint-not-ready", "The endpoint is not in service.", retry_after=10)
    if code == "ThrottlingException" or status == HTTPStatus.TOO_MANY_REQUESTS:
        return unavailable("throttled", "The endpoint serves as many requests as it can.", retry_after=1)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return unavailable("service-unavailable", "SageMaker has a fault of its own.", retry_after=5)
    return Problem(HTTPStatus.BAD_GATEWAY, "invocation-refused", "SageMaker refused to invoke the endpoint.")


def unavailable(kind: str, detail: str, *, retry_after: int) -> Problem:
    """A Problem 503 that invites to try again after so many seconds."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, kind, detail, {"retry-after": str(retry_after)})


def _no_answer() -> Problem:
    return Problem(HTTPStatus.GATEWAY_TIMEOUT, "model-timeout", "The model did not answer in time.")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
