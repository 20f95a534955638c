"""What the forwarder answers where the model does not."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ephemeral_endpoints.features.routing.forwarder import (
    asynchronous,
    callers,
    messages,
    page,
    parameters,
    readiness,
    variants,
)
from ephemeral_endpoints.features.routing.forwarder.config import (
    About,
    ForwarderConfig,
    GatewayAuth,
    Sample,
    Variant,
)
from ephemeral_endpoints.features.routing.forwarder.invocation import (
    NOT_IN_SERVICE,
    no_session,
    service_problem,
    unavailable,
)
from ephemeral_endpoints.features.routing.forwarder.messages import Problem
from ephemeral_endpoints.features.routing.forwarder.sleep import asleep

_CONFIG = ForwarderConfig(
    variants=(Variant("champion", "eep-c1-pr-42-champion", 1), Variant("challenger", "eep-c1-pr-42-challenger", 0)),
    token_sha256=None,
    max_body_bytes=64,
    region="us-east-1",
    about=About("nlp", "pr-42", "4f1c" * 10, "acme/sentiment"),
    path="/nlp/pr-42",
)
_BY_JWT = replace(
    _CONFIG, token_sha256="a" * 64, gateway_auth=GatewayAuth(callers.JWT, (("repository", "acme/sentiment"),))
)
_OF_SAGEMAKER = (
    ("ModelNotReadyException", "", HTTPStatus.TOO_MANY_REQUESTS),
    ("ValidationError", "Endpoint eep-c1-pr-42 of account 123456789012 not found.", HTTPStatus.BAD_REQUEST),
    ("ThrottlingException", "", HTTPStatus.BAD_REQUEST),
    ("InternalFailure", "", HTTPStatus.INTERNAL_SERVER_ERROR),
    ("AccessDeniedException", "", HTTPStatus.BAD_REQUEST),
)
_NAVIGATION = {"requestContext": {"http": {"method": "GET"}}, "headers": {"accept": "text/html"}}
_REFUSED: tuple[Callable[[], object], ...] = (
    lambda: messages.authenticate({}, "a" * 64),
    lambda: callers.authenticate({"requestContext": {"authorizer": {"jwt": {"claims": {"sub": "b"}}}}}, {}, _BY_JWT, 0),
    lambda: parameters.read({"accept": "\n"}, parameters.SYNCHRONOUS),
    lambda: parameters.read({"x-amzn-sagemaker-session-id": "a b"}, parameters.SYNCHRONOUS),
    lambda: parameters.read({"x-amzn-sagemaker-requestttlseconds": "1"}, parameters.ASYNCHRONOUS),
    lambda: parameters.read({"x-amzn-sagemaker-target-model": "m"}, parameters.SYNCHRONOUS),
    lambda: parameters.read({"x-amzn-sagemaker-filename": "m"}, parameters.ASYNCHRONOUS),
    lambda: parameters.read({"x-amzn-sagemaker-new": "m"}, parameters.ASYNCHRONOUS),
    lambda: parameters.variant({"eep-variant": "a", "x-amzn-sagemaker-target-variant": "b"}),
    lambda: messages.read_body({"body": "x" * 65}, 64),
    lambda: messages.read_body({"body": "====", "isBase64Encoded": True}, 64),
    lambda: variants.in_use(_CONFIG, "other"),
    lambda: page.is_asked_for(_NAVIGATION, enabled=False),
)


def problems() -> Iterator[tuple[str, str]]:
    for refused in _REFUSED:
        with pytest.raises(Problem) as caught:
            refused()
        yield _row(caught.value)
    for code, message, status in _OF_SAGEMAKER:
        response: Any = {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": int(status)},
        }
        yield _row(service_problem(ClientError(response, "InvokeEndpoint")))
    for wakes in (True, False):
        yield _row(asleep(unavailable(NOT_IN_SERVICE, "", retry_after=1), wakes=wakes))
    yield _row(messages.too_large(None))
    yield _row(asynchronous.unknown_inference())
    yield _row(no_session())
    yield _row(readiness.denied())
    for answered in (500, 0, None):
        yield _row(readiness.sample_refused(Sample("greeting", "{}", "application/json"), answered, ""))


def _row(problem: Problem) -> tuple[str, str]:
    return f"{problem.status.value} {problem.kind}", problem.detail
