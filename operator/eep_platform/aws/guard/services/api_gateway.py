"""The operations of API Gateway, whose actions are verbs on paths."""

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from eep_platform.aws.guard.rules import (
    CallScope,
    ConditionKeys,
    KeysOf,
    Operations,
    Resources,
    Rule,
    no_keys,
    passing,
    tagging,
    tagging_new,
)
from eep_platform.aws.inputs.rules import Parameters


def _path(template: str) -> Resources:
    """A path of API Gateway with members of the input."""
    return lambda parameters, scope: (
        f"arn:{scope.partition}:apigateway:{scope.region}::{template.format_map(parameters)}",
    )


def _tags_path(parameters: Parameters, scope: CallScope) -> Iterable[str]:
    arn = parameters.get("ResourceArn") or f"arn:{scope.partition}:apigateway:{scope.region}::/v2/apis/*"
    return (f"arn:{scope.partition}:apigateway:{scope.region}::/tags/{quote(arn, safe='*')}",)


def _verb(verb: str, path: str, operation: str, *beside: Rule, keys: KeysOf = no_keys) -> dict[Any, Any]:
    return {("apigatewayv2", operation): (Rule(f"apigateway:{verb}", _path(path), keys), *beside)}


def _naming(parameters: Parameters) -> ConditionKeys:
    return {**tagging(parameters), "apigateway:Request/ApiName": str(parameters.get("Name", ""))}


def _authorizing(parameters: Parameters) -> ConditionKeys:
    return {"apigateway:Request/AuthorizerType": str(parameters.get("AuthorizerType", ""))}


_STAGES: Final = "/apis/{ApiId}/stages"
_INTEGRATIONS: Final = "/apis/{ApiId}/integrations"
_ROUTES: Final = "/apis/{ApiId}/routes"
_AUTHORIZERS: Final = "/apis/{ApiId}/authorizers"
_MAPPINGS: Final = "/domainnames/{DomainName}/apimappings"
_PASS_INVOKE: Final = passing("CredentialsArn", "apigateway")
RULES: Final[Operations] = {
    **_verb("GET", "/apis", "GetApis"),
    **_verb("GET", "/apis/{ApiId}", "GetApi"),
    **_verb("GET", _STAGES, "GetStages"),
    **_verb("GET", _INTEGRATIONS, "GetIntegrations"),
    **_verb("GET", _ROUTES, "GetRoutes"),
    **_verb(
        "POST",
        "/apis",
        "CreateApi",
        tagging_new("apigateway:POST", _tags_path),
        keys=_naming,
    ),
    **_verb(
        "POST",
        _STAGES,
        "CreateStage",
        tagging_new("apigateway:TagResource", _path(_STAGES)),
        keys=tagging,
    ),
    **_verb("PATCH", f"{_STAGES}/{{StageName}}", "UpdateStage"),
    **_verb("DELETE", f"{_STAGES}/{{StageName}}/routesettings/{{RouteKey}}", "DeleteRouteSettings"),
    **_verb("POST", _INTEGRATIONS, "CreateIntegration", _PASS_INVOKE),
    **_verb("PATCH", f"{_INTEGRATIONS}/{{IntegrationId}}", "UpdateIntegration", _PASS_INVOKE),
    **_verb("DELETE", f"{_INTEGRATIONS}/{{IntegrationId}}", "DeleteIntegration"),
    **_verb("POST", _ROUTES, "CreateRoute"),
    **_verb("PATCH", f"{_ROUTES}/{{RouteId}}", "UpdateRoute"),
    **_verb("DELETE", f"{_ROUTES}/{{RouteId}}", "DeleteRoute"),
    **_verb("GET", _AUTHORIZERS, "GetAuthorizers"),
    **_verb("POST", _AUTHORIZERS, "CreateAuthorizer", keys=_authorizing),
    **_verb("PATCH", f"{_AUTHORIZERS}/{{AuthorizerId}}", "UpdateAuthorizer", keys=_authorizing),
    **_verb("DELETE", f"{_AUTHORIZERS}/{{AuthorizerId}}", "DeleteAuthorizer"),
    **_verb("DELETE", "/apis/{ApiId}", "DeleteApi"),
    **_verb("GET", "/domainnames", "GetDomainNames"),
    **_verb("GET", "/domainnames/{DomainName}", "GetDomainName"),
    **_verb("GET", _MAPPINGS, "GetApiMappings"),
    **_verb("POST", _MAPPINGS, "CreateApiMapping"),
    **_verb("PATCH", f"{_MAPPINGS}/{{ApiMappingId}}", "UpdateApiMapping"),
    **_verb("DELETE", f"{_MAPPINGS}/{{ApiMappingId}}", "DeleteApiMapping"),
    ("apigatewayv2", "TagResource"): (Rule("apigateway:POST", _tags_path, tagging),),
}
