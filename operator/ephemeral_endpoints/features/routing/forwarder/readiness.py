"""Whether requests reach the models: proven without a request to a model, or by the sample that the object names.

Without a sample, InvokeEndpoint is called with a ``TargetModel``, which only multi-model endpoints take. SageMaker
refuses it with ValidationError, "Endpoint … is not a multi-model endpoint and does not support target model header"
(https://github.com/aws/amazon-sagemaker-examples/issues/1026, of an endpoint with two variants). The refusal is behind
the permission check, because ``sagemaker:TargetModel`` is a condition key of InvokeEndpoint (SageMaker AI developer
guide, "Multi-model endpoint security"), and in front of the container: nothing is invoked, and nothing is started on a
serverless endpoint. Whether it counts as an invocation with a 4xx status is not documented; no alarm of ours looks at
those.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.features.routing.forwarder.invocation import (
    Request,
    send,
    service_problem,
    unavailable,
)
from ephemeral_endpoints.features.routing.forwarder.messages import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    # Stubs exist only for the type checker.
    from types_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from types_boto3_sagemaker_runtime.type_defs import InvokeEndpointInputTypeDef

    from ephemeral_endpoints.features.routing.forwarder.config import Sample
    from ephemeral_endpoints.features.routing.forwarder.invocation import Context
    from ephemeral_endpoints.features.routing.forwarder.messages import Answer
    from ephemeral_endpoints.features.routing.forwarder.variants import Target

NO_MODEL = "readiness"
"""A ``TargetModel`` that no endpoint has."""

MAX_WORDS = 500
"""How much of a model's message a Problem repeats, in characters."""

_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
# Only what was admitted is refused for its content, or handed on to a model that fails or is still starting.
_BEHIND_PERMISSIONS = frozenset({"ModelError", "ModelNotReadyException", "ValidationError"})


def prove(client: SageMakerRuntimeClient, context: Context, target: Target, read_seconds: float) -> None:
    """Check that the endpoint takes requests of this function; raises Problem 502 or 503 if not."""
    arguments: InvokeEndpointInputTypeDef = {
        "EndpointName": target.endpoint_name,
        "Body": b"",
        "TargetModel": NO_MODEL,
    }
    if target.shared and target.variant:
        arguments["TargetVariant"] = target.variant

    def invoke_without_model() -> None:
        client.invoke_endpoint(**arguments)["Body"].close()

    expect_refusal(invoke_without_model, context, read_seconds)


def expect_refusal(call: Callable[[], object], context: Context, read_seconds: float) -> None:
    """Make a call that SageMaker refuses behind its permission check; raises Problem 502 or 503 for other refusals."""
    try:
        send(call, context, read_seconds)
    except ClientError as error:
        problem = _problem(error)
        code = error.response["Error"].get("Code", "")
        if code not in _BEHIND_PERMISSIONS or problem.kind == "endpoint-not-ready":
            raise problem from error
    except BotoCoreError as error:
        raise unavailable("service-unavailable", "SageMaker could not be reached.", retry_after=5) from error


def send_sample(send_request: Callable[[Request], Answer], sample: Sample, *, tell: bool) -> Answer:
    """The answer of the model to the sample, which must be 2xx; raises Problem 502, 503 or 504 if not.

    With ``tell`` the Problem repeats what the model says.
    """
    request = Request(sample.request.encode(), {"ContentType": sample.content_type})
    try:
        answer = send_request(request)
    except Problem as problem:
        raise _of_sample(problem, sample, tell=tell) from problem.__cause__
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise sample_refused(sample, answer.status, answer.body.decode(errors="replace") if tell else "")
    return answer


def sample_refused(sample: Sample, status: int | None, words: str) -> Problem:
    """The Problem for a model that answers the sample with ``status``: 0 is no answer, None one that is not known."""
    said = {0: "did not answer the sample in time, or ended", None: "failed on the sample"}
    detail = f"The model {said.get(status, f'answered the sample with {status}')}."
    members = {"sample": sample.name, "modelStatus": status, "modelMessage": words[:MAX_WORDS]}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "sample-refused", detail, members=members)


def denied() -> Problem:
    """The Problem for a missing permission."""
    detail = "The role of the forwarder may not invoke the endpoint."
    return Problem(HTTPStatus.BAD_GATEWAY, "invocation-denied", detail)


def _of_sample(problem: Problem, sample: Sample, *, tell: bool) -> Problem:
    error = problem.__cause__
    if problem.kind == "model-timeout":
        return sample_refused(sample, 0, "")
    if not isinstance(error, ClientError):
        return problem
    # The members of an error shape are beside "Error", where botocore's types do not expect them.
    response: Mapping[str, Any] = error.response
    if problem.kind == "model-error":
        return sample_refused(sample, response.get("OriginalStatusCode"), response.get("OriginalMessage", "") * tell)
    return _problem(error)


def _problem(error: ClientError) -> Problem:
    return denied() if error.response["Error"].get("Code", "") in _DENIED else service_problem(error)
