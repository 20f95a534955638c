"""What the role of a job allows it, by the policies that the role has in IAM.

A role without policies may do everything, as whoever is not restricted in the embedded AWS.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from botocore.exceptions import ClientError

from eep_platform.aws.guard.policies import Policies
from eep_platform.aws.guard.rules import CallScope, RequiredAction
from eep_platform.emulation.account import Account
from eep_platform.emulation.aws import Aws


@dataclass(frozen=True, slots=True)
class Permissions:
    """The permissions of one role; `policies` is None if it may do everything."""

    account: Account
    role: str
    policies: Policies | None

    @classmethod
    async def of(cls, role: str, aws: Aws, account: Account) -> Self:
        """Read the policies of a role; a role that does not exist has none. Raises botocore's errors."""
        try:
            documents = await _documents(role.rpartition("/")[2], aws)
        except aws.error("iam", "NoSuchEntityException"):
            documents = []
        return cls(account, role, Policies.parse(role, documents) if documents else None)

    def allows(self, action: str, resource: str, *, tags: Mapping[str, str] | None = None, **keys: str) -> bool:
        """Whether the role may do something to a resource with those tags.

        `keys` are condition keys, `__` in a name stands for a colon.
        """
        if self.policies is None:
            return True
        conditions = {name.replace("__", ":"): value for name, value in keys.items()}
        scope = CallScope(self.account.id, self.account.region)
        return self.policies.decision(RequiredAction(action, resource, conditions), scope, lambda: tags or {}).allowed

    def refuse_denied(
        self, operation: str, action: str, resource: str, *, tags: Mapping[str, str] | None = None, **keys: str
    ) -> None:
        """Raise the `ClientError` of an operation that the role may not call; see `allows`."""
        if self.allows(action, resource, tags=tags, **keys):
            return
        session = f"arn:{self.account.partition}:sts::{self.account.id}:assumed-role/{self.role.rpartition('/')[2]}"
        message = (
            f"User: {session}/SageMaker is not authorized to perform: {action} on resource: {resource} because no "
            f"identity-based policy allows the {action} action"
        )
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": message}}, operation)


async def _documents(name: str, aws: Aws) -> list[Mapping[str, Any]]:
    inline = await aws.call("iam", "list_role_policies", RoleName=name)
    found = [
        (await aws.call("iam", "get_role_policy", RoleName=name, PolicyName=each))["PolicyDocument"]
        for each in inline["PolicyNames"]
    ]
    attached = await aws.call("iam", "list_attached_role_policies", RoleName=name)
    for each in attached["AttachedPolicies"]:
        arn = each["PolicyArn"]
        version = (await aws.call("iam", "get_policy", PolicyArn=arn))["Policy"]["DefaultVersionId"]
        answer = await aws.call("iam", "get_policy_version", PolicyArn=arn, VersionId=version)
        found.append(answer["PolicyVersion"]["Document"])
    return found
