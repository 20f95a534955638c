"""What the operator does in Lambda and API Gateway.

References: "Actions, resources, and condition keys for" AWS Lambda
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html) and Amazon API Gateway
Management V2 (…/list_amazonapigatewaymanagementv2.html). API Gateway is authorised by the HTTP verb and the path. Two
things about it are known from its refusals only: CreateApi with tags asks for POST on ``/tags/<encoded ARN of
/v2/apis/*>``, and CreateStage with tags for ``apigateway:TagResource`` on the API's stages. Which of its resources take
tags: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-tagging-supported-resources.html.
"""

from typing import Final

from ephemeral_endpoints.iam.scope import IS_NEW, IS_OURS, OURS, arn, pass_role, passed_to, retag, role
from ephemeral_endpoints.iam.statement import Statement

_FUNCTIONS: Final = (arn("lambda", f"function:{OURS}"),)

_TAGS: Final = "/tags/arn%3A${Partition}%3Aapigateway%3A${Region}%3A%3A"


def _api(path: str) -> str:
    return arn("apigateway", path, at="${Region}:")


FUNCTIONS: Final = (
    Statement(
        "ListFunctions", ("lambda:ListFunctions",), ("*",), "The inventory. The action supports no resource types."
    ),
    Statement(
        "ReadFunctions",
        ("lambda:GetFunctionConfiguration", "lambda:ListTags"),
        _FUNCTIONS,
        "Changes, and the owner tags.",
    ),
    Statement(
        "CreateFunctions",
        ("lambda:CreateFunction", "lambda:TagResource"),
        _FUNCTIONS,
        "Creating a resource with tags requires the permission to tag it.",
        IS_NEW,
    ),
    retag("RetagFunctions", "lambda:TagResource", _FUNCTIONS),
    Statement(
        "ChangeFunctions",
        ("lambda:DeleteFunction", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration"),
        _FUNCTIONS,
        "Updates and deletions.",
        IS_OURS,
    ),
    Statement(
        "PassFunctionRoles",
        ("iam:PassRole",),
        (role("ForwarderRole"), role("ReaperRole")),
        "Forwarders and reapers run with these roles only.",
        passed_to("lambda"),
    ),
)

CONCURRENCY: Final = (
    Statement(
        "ReadConcurrency",
        ("lambda:GetAccountSettings",),
        ("*",),
        "Whether reserved concurrency has changed. The action supports no resource types.",
    ),
    Statement("ReadFunctionConcurrency", ("lambda:GetFunctionConcurrency",), _FUNCTIONS, "What is reserved for each."),
    Statement(
        "Reserve",
        ("lambda:DeleteFunctionConcurrency", "lambda:PutFunctionConcurrency"),
        _FUNCTIONS,
        "What a class reserves for each of its URLs.",
        IS_OURS,
    ),
)

APIS: Final = (
    Statement(
        "ReadApis",
        ("apigateway:GET",),
        (_api("/apis"), _api("/apis/*")),
        "The inventory. APIs have ids instead of names, so reading cannot be restricted.",
    ),
    Statement(
        "CreateApis",
        ("apigateway:POST",),
        (_api("/apis"),),
        "New APIs, with our names and the tag of the cluster.",
        {**IS_NEW, "StringLike": {"apigateway:Request/ApiName": OURS}},
    ),
    Statement(
        "TagNewApis",
        ("apigateway:POST",),
        (_api(f"{_TAGS}%2Fv2%2Fapis%2F*"),),
        "Creating an API with tags requires the permission to tag it, before it has an id.",
        IS_NEW,
    ),
    retag(
        "RetagApis", "apigateway:POST", (_api("/tags/arn%3A${Partition}%3Aapigateway%3A${Region}%3A%3A%2Fapis%2F*"),)
    ),
    Statement(
        "CreateStages",
        ("apigateway:POST", "apigateway:TagResource"),
        (_api("/apis/*/stages"),),
        "The stage of a new API.",
        IS_NEW,
    ),
    Statement(
        "ChangeStages",
        ("apigateway:PATCH",),
        (_api("/apis/*/stages/*"),),
        "How many requests the routes of an API take.",
        IS_OURS,
    ),
    Statement(
        "ChangeRoutes",
        ("apigateway:DELETE", "apigateway:PATCH"),
        (_api("/apis/*/integrations/*"), _api("/apis/*/routes/*"), _api("/apis/*/authorizers/*")),
        "Not restricted: they neither have nor inherit tags; their path has the id of their API.",
    ),
    Statement(
        "CreateRoutes",
        ("apigateway:POST",),
        (_api("/apis/*/integrations"), _api("/apis/*/routes"), _api("/apis/*/authorizers")),
        "Not restricted, for the same reason, but that no authorizer may run code.",
        {"StringEqualsIfExists": {"apigateway:Request/AuthorizerType": "JWT"}},
    ),
    Statement("DeleteApis", ("apigateway:DELETE",), (_api("/apis/*"),), "Deletion of APIs.", IS_OURS),
    pass_role("PassInvokeRole", "InvokeRole", "apigateway", "API Gateway invokes forwarders with this role only."),
)

API_MAPPINGS: Final = (
    Statement(
        "ReadDomains",
        ("apigateway:GET",),
        (_api("/domainnames"), _api("/domainnames/*")),
        "Which paths of custom domains lead to APIs of the operator, and the state of the domain of a class.",
    ),
    Statement(
        "MapDomains",
        ("apigateway:POST",),
        (_api("/domainnames/*/apimappings"),),
        "Paths of the custom domain that a class names. Not restricted by tags, as mappings have none: name the domain "
        "in place of the first * to restrict it.",
    ),
    Statement(
        "ChangeMappings",
        ("apigateway:DELETE", "apigateway:PATCH"),
        (_api("/domainnames/*/apimappings/*"),),
        "Likewise.",
    ),
)

ROUTE_SETTINGS: Final = (
    Statement(
        "DeleteRouteSettings",
        ("apigateway:DELETE",),
        (_api("/apis/*/stages/*/routesettings/*"),),
        "Not restricted: settings of routes have no tags; their path has the id of their API.",
    ),
)
