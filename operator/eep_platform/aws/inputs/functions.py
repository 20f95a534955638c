"""What Lambda takes as the configuration of a function.

By https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html and the API reference of CreateFunction.
"""

import json
from collections.abc import Mapping
from typing import Final

from eep_platform.aws.inputs.rules import InputRule, Parameters, Rejection

_MOST_NAME_CHARACTERS: Final = 64
_MOST_SECONDS: Final = 900
_MOST_VARIABLES_BYTES: Final = 4096
_RESERVED: Final = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)
_UNABLE: Final = (
    "Lambda was unable to configure your environment variables because the environment variables you have provided"
)


def _refused(message: str) -> Rejection:
    return Rejection("InvalidParameterValueException", message)


def _violated(value: object, member: str, constraint: str) -> Rejection:
    return Rejection(
        "ValidationException",
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must have "
        f"{constraint}",
    )


def _create_function(given: Parameters) -> Rejection | None:
    name = given["FunctionName"]
    if ":" not in name and len(name) > _MOST_NAME_CHARACTERS:
        return _violated(name, "functionName", f"length less than or equal to {_MOST_NAME_CHARACTERS}")
    if given.get("PackageType", "Zip") == "Zip" and not (given.get("Runtime") and given.get("Handler")):
        return _refused("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
    if not given["Code"]:
        return _refused("Please provide a source for function code.")
    return _configure(given)


def _configure(given: Parameters) -> Rejection | None:
    if given.get("Timeout", 0) > _MOST_SECONDS:
        return _violated(given["Timeout"], "timeout", f"value less than or equal to {_MOST_SECONDS}")
    variables = given.get("Environment", {}).get("Variables") or {}
    reserved = sorted(_RESERVED & variables.keys())
    if reserved:
        return _refused(
            f"{_UNABLE} contains reserved keys that are currently not supported for modification. Reserved keys used "
            f"in this request: {', '.join(reserved)}"
        )
    text = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(text.encode()) > _MOST_VARIABLES_BYTES:
        return _refused(f"{_UNABLE} exceeded the 4KB limit. String measured: {text}")
    return None


RULES: Final[Mapping[tuple[str, str], InputRule]] = {
    ("lambda", "CreateFunction"): _create_function,
    ("lambda", "UpdateFunctionConfiguration"): _configure,
}
