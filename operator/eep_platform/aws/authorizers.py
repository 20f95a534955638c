"""What ministack's authorization of HTTP APIs lacks of API Gateway's, as patches of its functions.

- An authorizer is made and changed only if its issuer publishes where its keys are
  (seen in https://github.com/haandol/cognito-kakao-example/issues/1), and nothing else tells where they are.
- A route of type JWT needs an authorizer (https://github.com/anomalyco/sst/issues/4097), whose id is changed together
  with the type (https://github.com/hashicorp/terraform-provider-aws/pull/35821); another type takes it off
  (https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/2184).
- An authorizer is not deleted while a route refers to it (https://github.com/anomalyco/sst/issues/5586).
- A token must be signed with RSA and must expire, and a refusal says why in a header
  (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html and
  …/http-api-troubleshooting-jwt.html). What it says, other than of audiences, is not documented. Nor is what API
  Gateway answers while the keys cannot be read: here it is 401, too.
- A request to a route of type AWS_IAM must be signed, for this service, with a known key and just now, and its signer
  must be allowed to. As everywhere, the signature itself is not checked.
"""

import base64
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.request import urlopen

DENIED_HEADER: Final = "x-eep-execute-api-denied"
"""Set by the front on requests whose signer no policy allows to invoke what they ask for."""

TIMEOUT_SECONDS: Final = 1.5
"""How long API Gateway waits for an issuer (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html)."""

Answer = tuple[int, dict[str, str], bytes]
Control = Callable[..., Answer]
Execute = Callable[..., Awaitable[Answer]]
Validate = Callable[..., Awaitable[tuple[Any, Any, Answer | None]]]
Items = Callable[[str], Mapping[str, Mapping[str, Any]]]

_SIGNED: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/ ,]+/\d{8}/[a-z0-9-]+/execute-api/aws4_request, ?"
    r"SignedHeaders=[^ ,]+, ?Signature=[0-9a-f]{64}"
)
_TOLERANCE: Final = timedelta(minutes=5)
_DISCOVERY: Final = "/.well-known/openid-configuration"


class _Forbidden(Exception):  # noqa: N818 - an answer, caught where it is given
    """The caller may not invoke the route."""


def _error(code: str, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> Answer:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return status, headers, json.dumps({"message": message}).encode()


def publishes_keys(issuer: str) -> bool:
    """Whether an issuer says where its keys are. Blocks for a while."""
    try:
        with urlopen(issuer.rstrip("/") + _DISCOVERY, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the user's own
            return isinstance(json.load(answer).get("jwks_uri"), str)
    except (OSError, ValueError, AttributeError):
        return False


def of_known_issuers(change: Control) -> Control:
    """Create or update an authorizer if its issuer publishes its keys."""

    def changed(*request: Any) -> Answer:  # noqa: ANN401 - ministack has no types
        data = request[-1]
        issuer = (data.get("jwtConfiguration") or {}).get("issuer")
        if issuer is not None and not publishes_keys(issuer):
            message = (
                f"Caught exception when connecting to {issuer.rstrip('/')}{_DISCOVERY} for issuer {issuer}. Please try "
                f"again later. Error: Invalid issuer: {issuer}. Issuer must have a valid discovery endpoint ended with "
                f"'{_DISCOVERY}'"
            )
            return _error("BadRequestException", message)
        return change(*request)

    return changed


def keeping_referenced(delete: Control, authorizers: Items, routes: Items) -> Control:
    """Delete an authorizer to which no route refers."""

    def delete_unused(api_id: str, id_: str) -> Answer:
        users = [each["routeKey"] for each in routes(api_id).values() if each.get("authorizerId") == id_]
        if users:
            name = authorizers(api_id).get(id_, {}).get("name", id_)
            message = f"Cannot delete authorizer '{name}', is referenced in route: {users[0]}"
            return _error("ConflictException", message, HTTPStatus.CONFLICT)
        return delete(api_id, id_)

    return delete_unused


def with_authorizer(change: Control, authorizers: Items) -> Control:
    """Create or update a route, whose type and authorizer belong together."""

    def changed(api_id: str, *request: Any) -> Answer:  # noqa: ANN401 - ministack has no types
        *route, data = request
        type_, id_ = data.get("authorizationType"), data.get("authorizerId")
        if type_ == "JWT" and authorizers(api_id).get(id_ or "", {}).get("authorizerType") != "JWT":
            message = (
                "Invalid authorizer ID specified. Setting the authorization type to JWT requires a valid JWT "
                "authorizer."
            )
            return _error("BadRequestException", message)
        if type_ is None and id_:
            return _error("BadRequestException", "Unable to update route. Authorizer type is invalid or null.")
        if type_ not in {None, "JWT", "CUSTOM"}:
            data = {**data, "authorizerId": ""}
        return change(api_id, *route, data)

    return changed


def keys_of(discover: Callable[[str], Awaitable[str | None]]) -> Callable[[Mapping[str, Any]], Awaitable[str | None]]:
    """Where the keys of an authorizer's issuer are, by what the issuer publishes and by nothing else."""

    async def found(authorizer: Mapping[str, Any]) -> str | None:
        issuer = (authorizer.get("jwtConfiguration") or {}).get("issuer")
        return await discover(issuer) if issuer else None

    return found


def explaining(validate: Validate) -> Validate:
    """Validate a token that is signed with RSA and expires, and say in a header that another one is refused."""

    async def validated(
        route: Any,  # noqa: ANN401 - ministack has no types
        authorizer: Any,  # noqa: ANN401
        headers: dict[str, str],
        query: Any,  # noqa: ANN401
    ) -> tuple[Any, Any, Answer | None]:
        claims, scopes, refusal = await validate(route, authorizer, headers, query)
        if refusal is None and not _is_acceptable(headers.get("authorization", ""), claims):
            refusal = HTTPStatus.UNAUTHORIZED, {"Content-Type": "application/json"}, b'{"message":"Unauthorized"}'
        if refusal is not None and refusal[0] == HTTPStatus.UNAUTHORIZED:
            why = 'Bearer scope="" error="invalid_token" error_description="the token is not valid"'
            is_sent = bool(headers.get("authorization"))
            refusal = refusal[0], {**refusal[1], "www-authenticate": why if is_sent else "Bearer"}, refusal[2]
        return claims, scopes, refusal

    return validated


def _is_acceptable(authorization: str, claims: Mapping[str, Any]) -> bool:
    encoded = authorization.rpartition(" ")[2].partition(".")[0]
    header = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    return header.get("alg") == "RS256" and "exp" in claims


def identifying(
    identity: Callable[..., dict[str, Any] | None], now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Callable[..., dict[str, Any]]:
    """The identity of a caller who may invoke the route; raises what ``forbidding`` answers for others."""

    def identified(headers: Mapping[str, str], query: Any) -> dict[str, Any]:  # noqa: ANN401 - ministack has no types
        if DENIED_HEADER in headers or not _SIGNED.fullmatch(headers.get("authorization", "")):
            raise _Forbidden
        try:
            signed_at = datetime.strptime(headers.get("x-amz-date", ""), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise _Forbidden from None
        found = identity(headers, query)
        if found is None or abs(now() - signed_at) > _TOLERANCE:
            raise _Forbidden
        return found

    return identified


def forbidding(execute: Execute) -> Execute:
    """Answer a request whose caller may not invoke the route."""

    async def executed(*request: object, **options: object) -> Answer:
        try:
            return await execute(*request, **options)
        except _Forbidden:
            return HTTPStatus.FORBIDDEN, {"Content-Type": "application/json"}, b'{"message":"Forbidden"}'

    return executed


def install(gateway: Any) -> None:  # noqa: ANN401 - ministack has no types
    """Patch the module with ministack's HTTP APIs."""
    authorizers: Items = lambda api_id: gateway._authorizers.get(api_id) or {}  # noqa: E731, SLF001 - no call does it
    routes: Items = lambda api_id: gateway._routes.get(api_id) or {}  # noqa: E731, SLF001 - likewise
    for name in ("_create_authorizer", "_update_authorizer"):
        setattr(gateway, name, of_known_issuers(getattr(gateway, name)))
    for name in ("_create_route", "_update_route"):
        setattr(gateway, name, with_authorizer(getattr(gateway, name), authorizers))
    gateway._delete_authorizer = keeping_referenced(gateway._delete_authorizer, authorizers, routes)  # noqa: SLF001
    gateway._resolve_jwks_url = keys_of(gateway._fetch_oidc_jwks_uri)  # noqa: SLF001
    gateway._validate_jwt_authorizer = explaining(gateway._validate_jwt_authorizer)  # noqa: SLF001
    gateway._iam_caller_identity_v2 = identifying(gateway._iam_caller_identity_v2)  # noqa: SLF001
    gateway._handle_execute_in_scope = forbidding(gateway._handle_execute_in_scope)  # noqa: SLF001
