"""Parses SageMaker's events. Pure; the text may come from any client."""

from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError

LONGEST_BODY: Final = 64 * 1024
"""In characters. An event that SageMaker sends is a few thousand long."""

_SOURCE: Final = "aws.sagemaker"
_DETAIL_TYPE: Final = "SageMaker Endpoint State Change"
_LONGEST_NAME: Final = 63


class _Detail(BaseModel):
    endpoint_name: str = Field(alias="EndpointName", max_length=_LONGEST_NAME)


class _Event(BaseModel):
    source: str
    detail_type: str = Field(alias="detail-type")
    detail: dict[str, Any]


def endpoint_in(body: str) -> str | None:
    """The name of the endpoint whose state a message says has changed; None if it is about something else.

    Raises ValueError for other messages; its text repeats nothing of the body, which any client may have written.
    Source: "Events that Amazon SageMaker AI sends to Amazon EventBridge" in the SageMaker developer guide.
    """
    if len(body) > LONGEST_BODY:
        raise ValueError(f"longer than {LONGEST_BODY} characters")
    try:
        event = _Event.model_validate_json(body)
        if (event.source, event.detail_type) != (_SOURCE, _DETAIL_TYPE):
            return None
        return _Detail.model_validate(event.detail).endpoint_name
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        raise ValueError(": ".join([*map(str, first["loc"]), first["msg"]])) from None
