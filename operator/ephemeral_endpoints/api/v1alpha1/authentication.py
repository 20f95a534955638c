"""How callers of an endpoint authenticate."""

from enum import StrEnum
from typing import ClassVar

from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.types import Claims


class AuthType(StrEnum):
    """How callers authenticate."""

    TOKEN = "Token"  # noqa: S105 the name of a method, no secret
    JWT = "JWT"
    IAM = "IAM"
    NONE = "None"


class JwtAuth(ApiModel):
    """Which callers with a JWT may call."""

    claims: Claims | None = None
    """Claims that a JWT must have, beside those that the class asks for (routing.auth.jwt.claims): 1 to 10, by their
    names, as patterns in which * stands for any characters and ? for one, such as {repository: acme/sentiment, ref:
    refs/heads/*}. All must match. Default: the claim repository must be spec.source.repository, as in the tokens of
    GitHub Actions."""


class Auth(ApiModel):
    """Authentication of callers."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.jwt) || self.type == 'JWT'",
            message="jwt applies to type JWT only: set type to JWT, or remove jwt",
            holds=lambda auth: auth.jwt is None or auth.type is AuthType.JWT,
        ),
    )

    type: AuthType = AuthType.TOKEN
    """Token: callers send the header "Authorization: Bearer <token>" with the token of a Secret that the object owns.
    JWT: they send a JWT of the class's issuer there, such as the ID token of a GitHub Actions workflow. IAM: they sign
    requests with AWS Signature Version 4, and need the permission execute-api:Invoke. None: everyone who knows the URL
    may call. The class must allow the type (routing.auth.allowed). Default Token."""

    jwt: JwtAuth | None = None
    """Which callers with a JWT may call, for type JWT."""
