"""The request's headers that SageMaker takes as parameters, by the names that clients of SageMaker send. Pure.

The names and limits are those of the SageMaker Runtime API reference, InvokeEndpoint and InvokeEndpointAsync. Every
other header of SageMaker is refused: a parameter that is dropped silently changes the answer.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from ephemeral_endpoints.features.routing.forwarder.messages import VARIANT_HEADER, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "x-amzn-sagemaker-"
TARGET_VARIANT = f"{PREFIX}target-variant"
SESSION_ID = f"{PREFIX}session-id"
INFERENCE_ID = "InferenceId"
"""The member that names the inference."""


class Parameter(NamedTuple):
    """A parameter: the member of the request that it becomes, and which values it has.

    ``bounds`` are those of a number, None for text. ``form`` describes ``pattern`` for callers.
    """

    member: str
    pattern: re.Pattern[str]
    form: str
    bounds: range | None = None

    def read(self, header: str, value: str) -> str | int:
        """The value as SageMaker takes it; raises Problem 400."""
        if self.pattern.fullmatch(value):
            if self.bounds is None:
                return value
            if int(value) in self.bounds:
                return int(value)
        detail = f"The {header} header must be {self.form}."
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed-request", detail)


def _text(member: str) -> Parameter:
    # SageMaker's ``Header`` shape, without the control characters that would end the header.
    return Parameter(member, re.compile(r"[\x20-\x7e]{1,1024}"), "at most 1024 printable ASCII characters")


def _seconds(member: str, least: int, most: int) -> Parameter:
    return Parameter(member, re.compile(r"[0-9]{1,5}"), f"a number from {least} to {most}", range(least, most + 1))


_BOTH = {
    "content-type": _text("ContentType"),
    "accept": _text("Accept"),
    f"{PREFIX}custom-attributes": _text("CustomAttributes"),
    f"{PREFIX}inference-id": Parameter(
        INFERENCE_ID, re.compile(r"[\x21-\x7e][\x20-\x7e]{0,63}"), "at most 64 printable ASCII characters"
    ),
}
SYNCHRONOUS: Mapping[str, Parameter] = {
    **_BOTH,
    SESSION_ID: Parameter(
        "SessionId",
        re.compile(r"NEW_SESSION|(?=.{1,256}\Z)[a-zA-Z0-9](-*[a-zA-Z0-9])*"),
        "NEW_SESSION or the id of a session: letters, digits and hyphens",
    ),
}
ASYNCHRONOUS: Mapping[str, Parameter] = {
    **_BOTH,
    f"{PREFIX}content-type": _text("ContentType"),
    f"{PREFIX}accept": _text("Accept"),
    f"{PREFIX}requestttlseconds": _seconds("RequestTTLSeconds", 60, 21_600),
    f"{PREFIX}invocationtimeoutseconds": _seconds("InvocationTimeoutSeconds", 1, 3_600),
}

_REASONS = {
    f"{PREFIX}target-model": "the endpoint is not a multi-model endpoint",
    f"{PREFIX}target-container-hostname": "the endpoint has one container",
    f"{PREFIX}inference-component": "the endpoint has no inference components",
    f"{PREFIX}enable-explanations": "the endpoint has no explainer",
    f"{PREFIX}prefix-aware-id": "the endpoint does not route by prefix",
    SESSION_ID: "asynchronous inference has no sessions",
    f"{PREFIX}inputlocation": "send the request itself, which is stored for you",
    f"{PREFIX}s3outputpathextension": "fetch the result from the URL in the location header",
    f"{PREFIX}filename": "fetch the result from the URL in the location header",
    f"{PREFIX}requestttlseconds": "it is a parameter of asynchronous inference",
    f"{PREFIX}invocationtimeoutseconds": "it is a parameter of asynchronous inference",
}


def read(sent: Mapping[str, str], known: Mapping[str, Parameter]) -> dict[str, str | int]:
    """The members of SageMaker's request for headers by lower-case name.

    Raises Problem 400, which names the header, for a value that SageMaker does not take and for a parameter that the
    endpoint does not have.
    """
    for header in sent:
        if header.startswith(PREFIX) and header not in known and header != TARGET_VARIANT:
            reason = _REASONS.get(header, "SageMaker has no such parameter")
            detail = f"Send the request without the {header} header: {reason}."
            raise Problem(HTTPStatus.BAD_REQUEST, "unsupported-header", detail)
    found = ((parameter, header, sent.get(header)) for header, parameter in known.items())
    return {parameter.member: parameter.read(header, value) for parameter, header, value in found if value}


def variant(sent: Mapping[str, str]) -> str | None:
    """The variant that the request names, by our header or by SageMaker's; raises Problem 400 if they differ."""
    named = {value for header in (VARIANT_HEADER, TARGET_VARIANT) if (value := sent.get(header)) is not None}
    if len(named) > 1:
        detail = f"The {VARIANT_HEADER} and {TARGET_VARIANT} headers must name the same variant."
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed-request", detail)
    return next(iter(named), None)
