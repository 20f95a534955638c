"""Who may call the URL of an object, and how the operator itself calls it. Pure.

Where API Gateway authenticates callers, by JWT or IAM, the object has a token all the same: the operator, which has
neither a JWT nor the permission, calls with it, on routes without authorization below ``OPERATOR``.
"""

from typing import Final

from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.api.v1alpha1.routing import AuthPolicy
from ephemeral_endpoints.engine.errors import NotAllowed, ReconcileError
from ephemeral_endpoints.features.routing.forwarder.callers import IAM, JWT
from ephemeral_endpoints.features.routing.forwarder.config import GatewayAuth
from ephemeral_endpoints.features.routing.specs import BY_IAM, BY_JWT, OPEN, OPERATOR
from ephemeral_endpoints.features.routing.stage import IssuerMissing
from ephemeral_endpoints.features.subject import Subject

AUTHORIZATION: Final = {AuthType.TOKEN: OPEN, AuthType.NONE: OPEN, AuthType.JWT: BY_JWT, AuthType.IAM: BY_IAM}
"""AWS's type of authorization of the routes on which callers authenticate."""


def auth_type(subject: Subject) -> AuthType:
    """How callers authenticate: as the object asks, or by the token for as long as the class does not allow that."""
    return AuthType.TOKEN if refused_auth(subject) else subject.endpoint.spec.api.auth.type


def refused_auth(subject: Subject) -> ReconcileError | None:
    """Why callers cannot authenticate as the object asks; None if they can."""
    asked, policy = subject.endpoint.spec.api.auth.type, subject.endpoint_class.spec.routing.auth
    until = "until then the URL takes only the token in the object's Secret"
    if asked not in policy.allowed:
        return NotAllowed(
            f"the class does not allow spec.api.auth.type {asked}: choose {_choice(policy)}, or ask the platform team "
            f"to allow it in spec.routing.auth.allowed of the class; {until}"
        )
    if asked is AuthType.JWT and policy.jwt is None:
        return IssuerMissing(
            f"the class {subject.endpoint_class.metadata.name} names no issuer of JWTs: ask the platform team to set "
            f"spec.routing.auth.jwt of the class, or choose another spec.api.auth.type; {until}"
        )
    return None


def needs_token(subject: Subject) -> bool:
    """Whether the object has a token: all have, but those that everybody may call."""
    return auth_type(subject) is not AuthType.NONE


def gateway_auth(subject: Subject) -> GatewayAuth | None:
    """What API Gateway verifies of callers; None if it verifies nothing."""
    match auth_type(subject):
        case AuthType.JWT:
            return GatewayAuth(JWT, required_claims(subject))
        case AuthType.IAM:
            return GatewayAuth(IAM)
    return None


def required_claims(subject: Subject) -> tuple[tuple[str, str], ...]:
    """What a JWT must claim: names and patterns. A name of both the class and the object must match twice."""
    spec, issuer = subject.endpoint.spec, subject.endpoint_class.spec.routing.auth.jwt
    own = (spec.api.auth.jwt.claims if spec.api.auth.jwt else None) or {"repository": spec.source.repository}
    general = (issuer.claims if issuer else None) or {}
    return (*sorted(general.items()), *sorted(own.items()))


def admission(subject: Subject, secret: str) -> str:
    """How callers authenticate, for people; empty if they need not. ``secret`` is the name of the object's Secret."""
    match auth_type(subject):
        case AuthType.TOKEN:
            return f"authenticate with the token in Secret {secret}"
        case AuthType.JWT:
            issuer = subject.endpoint_class.spec.routing.auth.jwt
            claims = ", ".join(f"{name}={pattern}" for name, pattern in required_claims(subject))
            return f"authenticate with a JWT of {issuer.issuer if issuer else 'the issuer'} that claims {claims}"
        case AuthType.IAM:
            return "sign requests with AWS Signature Version 4 as a principal with execute-api:Invoke"
    return ""


def entrance(type_: AuthType, url: str) -> str:
    """The URL below which whoever has the object's token is admitted, of an object with that public URL."""
    return url if AUTHORIZATION[type_] == OPEN else f"{url}{OPERATOR}"


def invocation_url(type_: AuthType, url: str) -> str:
    """Where whoever has the object's token sends requests to its model."""
    return url if AUTHORIZATION[type_] == OPEN else f"{entrance(type_, url)}/invocations"


def _choice(policy: AuthPolicy) -> str:
    *others, last = policy.allowed
    return f"{', '.join(others)} or {last}" if others else str(last)
