"""The operations of Lambda."""

from typing import Final

from eep_platform.aws.guard.rules import (
    Operations,
    Rule,
    any_resource,
    at,
    creating,
    named,
    named_by,
    passing,
    tagging,
)

_FUNCTION: Final = at("lambda", "function:", "FunctionName")
RULES: Final[Operations] = {
    **named("lambda", any_resource, "GetAccountSettings", "ListFunctions"),
    **named(
        "lambda",
        _FUNCTION,
        "DeleteFunction",
        "DeleteFunctionConcurrency",
        "GetFunctionConcurrency",
        "GetFunctionConfiguration",
        "GetPolicy",
        "PutFunctionConcurrency",
        "UpdateFunctionCode",
    ),
    **named(
        "lambda",
        _FUNCTION,
        "AddPermission",
        keys=lambda parameters: {"lambda:Principal": str(parameters.get("Principal", ""))},
    ),
    ("lambda", "Invoke"): (Rule("lambda:InvokeFunction", _FUNCTION),),
    **named("lambda", named_by("Resource"), "ListTags", "TagResource", keys=tagging),
    **creating("lambda", "CreateFunction", _FUNCTION, passing("Role", "lambda")),
    ("lambda", "UpdateFunctionConfiguration"): (
        Rule("lambda:UpdateFunctionConfiguration", _FUNCTION),
        passing("Role", "lambda"),
    ),
}
