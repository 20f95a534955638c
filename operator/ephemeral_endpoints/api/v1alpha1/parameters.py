"""Parameters of SSM that name the endpoints of a class."""

from typing import Annotated, ClassVar

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.base import ApiModel

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html: at most 15 levels, of which the
# operator adds three.
ParameterPath = Annotated[
    str,
    Field(min_length=2, max_length=256),
    matches(
        r"(/[a-zA-Z0-9_.-]+){1,12}",
        "must be a path of SSM parameters such as /previews: 1 to 12 levels of letters, digits and _.-, each after "
        "a '/', and none at the end",
    ),
]
_RESERVED = ("aws", "ssm")


class ParameterPolicy(ApiModel):
    """Where parameters of SSM name the endpoints of the class."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=" && ".join(f"!self.prefix.lowerAscii().startsWith('/{each}')" for each in _RESERVED),
            message="prefix must not begin with /aws or /ssm, which SSM keeps for itself",
            holds=lambda policy: not policy.prefix.lower().startswith(tuple(f"/{each}" for each in _RESERVED)),
        ),
    )

    prefix: ParameterPath
    """The path below which each object has a parameter, such as /previews: 1 to 12 levels, not below /aws or /ssm."""
