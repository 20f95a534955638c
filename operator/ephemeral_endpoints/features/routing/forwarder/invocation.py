"""The model's side of the forwarder: InvokeEndpoint, and the translation of its errors for the caller."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, ConnectTimeoutError, ReadTimeoutError

from ephemeral_endpoints.features.routing.forwarder.config import is_variant_name
from ephemeral_endpoints.features.routing.forwarder.messages import Answer, Problem, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    # Stubs exist only for the type checker.
    from types_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from types_boto3_sagemaker_runtime.type_defs import InvokeEndpointInputTypeDef, InvokeEndpointOutputTypeDef

    from ephemeral_endpoints.features.routing.forwarder.variants import Target

T = TypeVar("T")

NOT_IN_SERVICE = "endpoint-not-ready"

CONNECT_SECONDS = 2
READ_SECONDS = (1, 2, 3, 5, 8, 12, 17)
"""How long clients wait for an answer, beside the longest: a few, because each has connections of its own."""

# What the forwarder has spent before the first attempt must not cost that the longest wait.
_TOLERANCE_SECONDS = 0.5


SESSION = botocore.session.get_session()


class Context(Protocol):
    """The part of Lambda's context object that the forwarder uses."""

    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends this invocation."""


class Request(NamedTuple):
    """A request to a model: its body, and the other members of SageMaker's request."""

    body: bytes
    parameters: Mapping[str, Any] = MappingProxyType({})


class Clients:
    """Clients of SageMaker Runtime, which differ in how long they wait for an answer: botocore fixes that in a client.

    They do not try again by themselves. Creating one takes longer than a request, so that they are kept; the one that
    waits longest is made at once. ``checks_parameters`` says whether they refuse by themselves what their model of the
    service does not allow. Not for several threads, but for ``longest``.
    """

    def __init__(self, region: str, longest_seconds: float, *, checks_parameters: bool = True) -> None:
        self._region = region
        self._checks_parameters = checks_parameters
        self._clients: dict[float, SageMakerRuntimeClient] = {}
        self.longest_seconds = longest_seconds
        self.longest = self._client(longest_seconds)

    def within(self, seconds: float) -> SageMakerRuntimeClient:
        """The client that waits as long as possible, but hardly longer than that, nor less than a second."""
        most = min(seconds + _TOLERANCE_SECONDS, self.longest_seconds)
        fitting = (each for each in (*READ_SECONDS, self.longest_seconds) if each <= most)
        return self._client(max(fitting, default=min(READ_SECONDS[0], self.longest_seconds)))

    def close(self) -> None:
        """Close their connections."""
        for client in self._clients.values():
            client.close()

    def _client(self, seconds: float) -> SageMakerRuntimeClient:
        if seconds not in self._clients:
            self._clients[seconds] = make_client(
                "sagemaker-runtime", self._region, seconds, parameter_validation=self._checks_parameters
            )
        return self._clients[seconds]


def make_client(service: str, region: str, read_seconds: float, *, attempts: int = 1, **settings: Any) -> Any:
    """A client of an AWS service. botocore alone takes a third less time to import than with boto3."""
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        tcp_keepalive=True,
        **settings,
    )
    return SESSION.create_client(service, region_name=region, config=config)


def invoke(
    client: SageMakerRuntimeClient, context: Context, target: Target, request: Request, *, read_seconds: float
) -> Answer:
    """The model's answer and its variant; raises Problem 502, 503 or 504 without one.

    ``read_seconds`` is how long the client waits for the answer, and so about the longest that this blocks.
    """
    arguments = _arguments(target, request)
    try:
        output = send(lambda: client.invoke_endpoint(**arguments), context, read_seconds)
        variant = _answered_by(target, output.get("InvokedProductionVariant"))
        # Read completely: botocore detects a truncated response only without an amount.
        body = output["Body"].read()
        return Answer(HTTPStatus.OK, output.get("ContentType", ""), body, variant, _headers(output, variant))
    except ClientError as error:
        if "SessionId" in arguments and _is_refused(error):
            raise no_session() from error
        return _model_refusal(error, target)
    except (ConnectTimeoutError, ReadTimeoutError) as error:
        raise _no_answer() from error
    except BotoCoreError as error:
        raise unavailable("service-unavailable", "SageMaker could not be reached.", retry_after=5) from error


def send(call: Callable[[], T], context: Context, read_seconds: float) -> T:
    """Call SageMaker; once more if the connection was closed and the time suffices."""
    try:
        return call()
    except ConnectionClosedError:
        # Lambda freezes the process between requests: a pooled connection may have been closed meanwhile.
        if context.get_remaining_time_in_millis() < (CONNECT_SECONDS + read_seconds) * 1000:
            raise
        return call()


def _arguments(target: Target, request: Request) -> InvokeEndpointInputTypeDef:
    arguments: InvokeEndpointInputTypeDef = {
        **request.parameters,  # type: ignore[typeddict-item]  # by their names, which ``parameters`` declares
        "EndpointName": target.endpoint_name,
        "Body": request.body,
    }
    if target.shared and target.variant:
        arguments["TargetVariant"] = target.variant
    return arguments


def _headers(output: InvokeEndpointOutputTypeDef, variant: str | None) -> dict[str, str]:
    """What SageMaker tells beside the answer, by the names that clients of SageMaker read; the model chooses values."""
    reported = {
        "x-amzn-sagemaker-custom-attributes": output.get("CustomAttributes"),
        "x-amzn-sagemaker-new-session-id": output.get("NewSessionId"),
        "x-amzn-sagemaker-closed-session-id": output.get("ClosedSessionId"),
        "x-amzn-invoked-production-variant": variant,
    }
    return {name: value for name, value in reported.items() if value and printable(value)}


def _is_refused(error: ClientError) -> bool:
    """Whether SageMaker refuses the request itself, and not because the endpoint does not serve."""
    reported = error.response["Error"]
    return reported.get("Code") == "ValidationError" and not re.search(
        "account [0-9]+ not found", reported.get("Message", "")
    )


def no_session() -> Problem:
    """The Problem for a session that SageMaker refuses."""
    detail = (
        "SageMaker refused the x-amzn-sagemaker-session-id header: the session does not exist any more, or the "
        "endpoint has no sessions."
    )
    return Problem(HTTPStatus.BAD_REQUEST, "session-refused", detail)


def _answered_by(target: Target, named: str | None) -> str | None:
    """The variant that answered; SageMaker knows its name for callers only if an endpoint has several."""
    if target.shared and named and is_variant_name(named):
        return named
    return target.variant


def _model_refusal(error: ClientError, target: Target) -> Answer:
    """The model's own 4xx answer; raises Problem for every other error."""
    # The members of an error shape are beside "Error", where botocore's types do not expect them.
    response: Mapping[str, Any] = error.response
    code = response["Error"].get("Code", "")
    if code != "ModelError":
        raise service_problem(error) from error
    status = response.get("OriginalStatusCode") or 0
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        message = response.get("OriginalMessage") or ""
        # SageMaker does not return the content type of a refusal.
        content_type = "application/json" if _is_json(message) else "text/plain; charset=utf-8"
        # The shape of a refusal has no variant, so only the header can name it.
        named = response["ResponseMetadata"]["HTTPHeaders"].get("x-amzn-invoked-production-variant")
        return Answer(status, content_type, message.encode(errors="replace"), _answered_by(target, named))
    if status == 0:  # "Received server error (0)": the container was too slow, or has exited.
        raise _no_answer() from error
    raise Problem(
        HTTPStatus.BAD_GATEWAY, "model-error", "The model failed on this request; see the log of the model."
    ) from error


def service_problem(error: ClientError) -> Problem:
    """The Problem for SageMaker's own refusal (SageMaker Runtime API reference, errors of InvokeEndpoint)."""
    response = error.response
    code = response["Error"].get("Code", "")
    status = response["ResponseMetadata"].get("HTTPStatusCode", 0)
    if code == "ModelNotReadyException":
        return unavailable("model-not-ready", "The model is starting.", retry_after=3, is_transient=True)
    if code == "ValidationError" and re.search("not found|not find", response["Error"].get("Message", "")):
        return unavailable(NOT_IN_SERVICE, "The endpoint is not in service.", retry_after=10)
    if code == "ThrottlingException" or status == HTTPStatus.TOO_MANY_REQUESTS:
        detail = "The endpoint is at its limit of concurrent requests."
        return unavailable("throttled", detail, retry_after=1, is_transient=True)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return unavailable("service-unavailable", "SageMaker failed; try again.", retry_after=5, is_transient=True)
    return Problem(HTTPStatus.BAD_GATEWAY, "invocation-refused", "SageMaker refused to invoke the endpoint.")


def unavailable(kind: str, detail: str, *, retry_after: int, is_transient: bool = False) -> Problem:
    """A Problem 503 with a ``retry-after`` of so many seconds."""
    problem = Problem(HTTPStatus.SERVICE_UNAVAILABLE, kind, detail, {"retry-after": str(retry_after)})
    problem.is_transient = is_transient
    return problem


def _no_answer() -> Problem:
    return Problem(HTTPStatus.GATEWAY_TIMEOUT, "model-timeout", "The model did not answer in time.")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
