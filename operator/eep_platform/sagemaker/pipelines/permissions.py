"""What the role of a pipeline allows its executions: every call of a step is made with it."""

from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.aws.guard.authorization import required_actions
from eep_platform.aws.guard.rules import CallScope
from eep_platform.emulation.account import Account
from eep_platform.emulation.aws import Aws
from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.jobs.permissions import Permissions
from eep_platform.sagemaker.pipelines.errors import StepFailedError
from eep_platform.sagemaker.pipelines.retries import SERVICE_FAULT

_DENIED: Final = "AccessDeniedException"


async def permissions_of(role: str, aws: Aws, account: Account) -> Permissions:
    """The permissions that a role has now; raises `StepFailedError` if they cannot be read."""
    try:
        return await Permissions.of(role, aws, account)
    except (BotoCoreError, ClientError) as error:
        raise StepFailedError(f"InternalServerError: Role {role} could not be read: {error}", SERVICE_FAULT) from error


def refuse_call(permissions: Permissions, operation: str, request: Mapping[str, Any]) -> None:
    """Raise the service's error for a call of SageMaker that the role may not make."""
    account = permissions.account
    for required in required_actions("sagemaker", operation, request, CallScope(account.id, account.region)):
        keys: dict[str, Any] = {name.replace(":", "__"): value for name, value in required.keys.items()}
        try:
            permissions.refuse_denied(operation, required.action, required.resource, **keys)
        except ClientError as error:
            raise ServiceError(_DENIED, error.response["Error"]["Message"]) from error
