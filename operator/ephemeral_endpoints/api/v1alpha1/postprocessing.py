"""A second model that classifies what the first one answers."""

from typing import Annotated, ClassVar

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel
from ephemeral_endpoints.api.v1alpha1.json_values import JsonPointer
from ephemeral_endpoints.api.v1alpha1.types import DnsSubdomain, Integer

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
SageMakerEndpointName = Annotated[
    str,
    Field(max_length=63),
    matches(
        "[a-zA-Z0-9](-*[a-zA-Z0-9])*",
        "must be the name of a SageMaker endpoint, not its ARN: letters, digits and '-', with a letter or digit at "
        "both ends",
    ),
]

MemberName = Annotated[
    str,
    Field(min_length=1, max_length=64),
    matches("[A-Za-z0-9_-]+", "must be the name of a member: letters, digits, '_' and '-'"),
]


class Postprocess(ApiModel):
    """A second model, which gets each answer of the first one; callers get both answers."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.endpoint) != has(self.sageMakerEndpoint)",
            message="set exactly one of endpoint and sageMakerEndpoint",
            holds=lambda asked: (asked.endpoint is not None) != (asked.sage_maker_endpoint is not None),
        ),
        Rule(
            cel="!has(self.member) || has(self.input)",
            message="member needs input, which says what the member holds",
            holds=lambda asked: asked.member is None or asked.input is not None,
        ),
    )

    endpoint: DnsSubdomain | None = None
    """Name of another EphemeralEndpoint in the same namespace, of the same class. Only its model is invoked, by its own
    weights: neither its schemas nor its own postprocess apply."""

    sage_maker_endpoint: SageMakerEndpointName | None = None
    """Name of a SageMaker endpoint that the class lists in routing.postprocessors."""

    input: JsonPointer | None = None
    """Where the first answer has what the second model gets, as a JSON pointer such as /text. It is sent as JSON.
    Absent: the second model gets the first answer as it is, with its media type."""

    member: MemberName | None = None
    """Name of the member in which the second model expects its input: with text it gets {"text": …}. Absent: the input
    alone is the request."""

    timeout_seconds: Annotated[Integer, Field(ge=1, le=27)] = 8
    """Longest time in seconds for the second answer, 1 to 27, and no more than the first one has left of
    api.timeoutSeconds. Default 8."""

    @property
    def name(self) -> str:
        """The name of the second model's object or endpoint."""
        return self.endpoint or self.sage_maker_endpoint or ""


class PostprocessStatus(ApiModel):
    """The object whose model gets the answers."""

    model_config = TOLERANT

    endpoint: str
    """Name of the other EphemeralEndpoint."""

    revision: str
    """The Git commit that it serves."""
