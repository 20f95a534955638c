"""The page on which people try a model."""

from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.json_values import JsonPointer
from ephemeral_endpoints.api.v1alpha1.types import Line


class AnswerPointers(ApiModel):
    """Where an answer has what people look at, as JSON pointers such as /predictions/0/label."""

    text: JsonPointer | None = None
    """A text, shown for reading."""

    label: JsonPointer | None = None
    """The label that the model chose, shown large."""

    score: JsonPointer | None = None
    """The score of the label, or an object with the scores of all labels; those from 0 to 1 are shown as bars."""

    image: JsonPointer | None = None
    """A PNG, JPEG, GIF or WebP image in base64 or as a data URL."""


class Playground(ApiModel):
    """The page at the endpoint's URL on which people try the model."""

    enabled: bool = True
    """Whether the URL shows a page to browsers. It is open to everyone, and tells nothing without the token. Default
    true."""

    title: Line | None = None
    """Title of the page, at most 255 characters. Absent: the name of the object."""

    answer: AnswerPointers = AnswerPointers()
    """Where an answer has what people look at. Default: the page shows all of the answer."""
