"""The environment variables of a build; resolves references to the Parameter Store and Secrets Manager."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.codebuild.buildspec import Variables
from eep_platform.emulation.aws import Aws

_ARN_PARTS = 7
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN, _PARAMETER, _SECRET = "PLAINTEXT", "PARAMETER_STORE", "SECRETS_MANAGER"


class VariableError(Exception):
    """A value cannot be resolved; `code` is the status code for the phase's context."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Resolved:
    """The values by name; logs must not show those in `secret`."""

    values: Mapping[str, str]
    secret: frozenset[str]


async def resolve(aws: Aws, of_buildspec: Variables, of_build: Iterable[Mapping[str, str]]) -> Resolved:
    """The variables of a buildspec, overridden by those of the project and of StartBuild.

    Raises:
        VariableError: A parameter or secret cannot be read, or a name is not valid in a shell.
    """
    wanted = {name: (_PLAIN, value) for name, value in of_buildspec.variables.items()}
    wanted |= {name: (_PARAMETER, value) for name, value in of_buildspec.parameter_store.items()}
    wanted |= {name: (_SECRET, value) for name, value in of_buildspec.secrets_manager.items()}
    wanted |= {each["name"]: (each.get("type", _PLAIN), each["value"]) for each in of_build}
    if wrong := [name for name in wanted if not _NAME.fullmatch(name)]:
        raise VariableError("CLIENT_ERROR", f"invalid name of an environment variable: {wrong[0]}")
    values = {name: await _value(aws, kind, value) for name, (kind, value) in wanted.items()}
    return Resolved(values, frozenset(values[name] for name, (kind, _) in wanted.items() if kind != _PLAIN))


async def _value(aws: Aws, kind: str, value: str) -> str:
    try:
        if kind == _PARAMETER:
            return await _parameter(aws, value)
        return await _secret(aws, value) if kind == _SECRET else value
    except (BotoCoreError, ClientError) as error:
        code = "Secrets Manager Error Message" if kind == _SECRET else "Decrypted Variables Error Message"
        raise VariableError(code, _message(error)) from error


async def _parameter(aws: Aws, name: str) -> str:
    answer = await aws.call("ssm", "get_parameter", Name=name, WithDecryption=True)
    return str(answer["Parameter"]["Value"])


async def _secret(aws: Aws, reference: str) -> str:
    """The value of `secret-id[:json-key[:version-stage[:version-id]]]`, whose secret-id may be an ARN."""
    parts = reference.split(":")
    if parts[0] == "arn":
        parts = [":".join(parts[:_ARN_PARTS]), *parts[_ARN_PARTS:]]
    secret_id, key, stage, version = (*parts, "", "", "")[:4]
    choice = {name: value for name, value in (("VersionStage", stage), ("VersionId", version)) if value}
    answer = await aws.call("secretsmanager", "get_secret_value", SecretId=secret_id, **choice)
    text = str(answer.get("SecretString", ""))
    if not key:
        return text
    try:
        return str(json.loads(text)[key])
    except (ValueError, KeyError, TypeError) as error:
        raise VariableError("Secrets Manager Error Message", f"the secret has no key {key}") from error


def _message(error: Exception) -> str:
    if isinstance(error, ClientError):
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return str(error)
