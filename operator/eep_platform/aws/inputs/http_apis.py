"""What API Gateway takes as parts of HTTP APIs.

By https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html, and the API
reference of CreateIntegration, CreateStage and CreateAuthorizer.
"""

import re
from collections.abc import Mapping
from typing import Final

from eep_platform.aws.inputs.rules import InputRule, Parameters, Rejection

DEFAULT: Final = "$default"
_KEY: Final = re.compile(
    r"(?:ANY|DELETE|GET|HEAD|OPTIONS|PATCH|POST|PUT) "
    r"(?P<path>/(?:(?:[^/{}\s]+|\{[\w.-]+\})/)*(?:[^/{}\s]+|\{[\w.-]+\+?\})?)",
    re.ASCII,
)
_VARIABLE: Final = re.compile(r"\{([\w.-]+)\+?\}")
_STAGE: Final = re.compile(r"[\w-]{1,128}|\$default", re.ASCII)
_THROTTLES: Final = ("ThrottlingBurstLimit", "ThrottlingRateLimit")
_VERSIONS: Final = frozenset({"1.0", "2.0"})


def _refused(message: str) -> Rejection:
    return Rejection("BadRequestException", message)


def _route(given: Parameters) -> Rejection | None:
    key = given.get("RouteKey", DEFAULT)
    found = _KEY.fullmatch(key)
    if found is None and key != DEFAULT:
        return _refused(
            'The provided route key is not formatted properly for HTTP protocol. Format should be "<HTTP METHOD> '
            '/<RESOURCE PATH>" or "$default"'
        )
    names = _VARIABLE.findall(found["path"]) if found else []
    if len(set(names)) < len(names):
        return _refused(f"The path variables of route key {key} must have distinct names")
    return None


def _create_integration(given: Parameters) -> Rejection | None:
    if given["IntegrationType"] not in {"AWS_PROXY", "HTTP_PROXY"}:
        return _refused(
            "Currently, an API with a protocol type of HTTP may only be associated with proxy integrations (AWS_PROXY, "
            "HTTP_PROXY)"
        )
    if "PayloadFormatVersion" not in given:
        return _refused("payloadFormatVersion is a required parameter for integration")
    if "IntegrationUri" not in given and "IntegrationSubtype" not in given:
        return _refused("integrationUri is a required parameter for integration")
    return _integration(given)


def _integration(given: Parameters) -> Rejection | None:
    version = given.get("PayloadFormatVersion", "2.0")
    return None if version in _VERSIONS else _refused(f"Invalid payloadFormatVersion: {version}")


def _create_stage(given: Parameters) -> Rejection | None:
    if _STAGE.fullmatch(given["StageName"]):
        return _stage(given)
    return _refused("Stage name only allows a-zA-Z0-9_- and can be $default")


def _stage(given: Parameters) -> Rejection | None:
    settings = (given.get("DefaultRouteSettings", {}), *given.get("RouteSettings", {}).values())
    if any(each.get(limit, 0) < 0 for each in settings for limit in _THROTTLES):
        return _refused("Throttling rate and burst limits must not be negative")
    return None


def _create_authorizer(given: Parameters) -> Rejection | None:
    if given["AuthorizerType"] != "JWT":
        return None
    about = given.get("JwtConfiguration", {})
    return None if about.get("Issuer") and about.get("Audience") else _refused("Invalid or missing JWT configuration")


RULES: Final[Mapping[tuple[str, str], InputRule]] = {
    ("apigatewayv2", "CreateAuthorizer"): _create_authorizer,
    ("apigatewayv2", "CreateIntegration"): _create_integration,
    ("apigatewayv2", "CreateRoute"): _route,
    ("apigatewayv2", "CreateStage"): _create_stage,
    ("apigatewayv2", "UpdateIntegration"): _integration,
    ("apigatewayv2", "UpdateRoute"): _route,
    ("apigatewayv2", "UpdateStage"): _stage,
}
