"""Restricts access keys and roles to policies."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from aiohttp import web
from microburst.core.context import RequestContext

from eep_platform.aws import ministack
from eep_platform.aws.guard.authorization import required_actions
from eep_platform.aws.guard.lookups import Lookups
from eep_platform.aws.guard.policies import Policies, PolicyDecision
from eep_platform.aws.guard.record import Denial, Permissions, Use
from eep_platform.aws.guard.rules import CallScope, RequiredAction
from eep_platform.aws.inputs.parameters import parameters
from eep_platform.aws.inputs.rules import Parameters
from eep_platform.aws.wire import Request, error_response

_CREDENTIAL: Final = re.compile(r"Credential=(?P<key>[^/]+)/[^/]+/(?P<region>[^/]+)/")
_ACCESS_KEY: Final = re.compile(rb"<AccessKeyId>([^<]+)</AccessKeyId>")
_ROLE: Final = re.compile(r"arn:[^:]*:iam::(?P<account>\d{12}):role/")

_BAD_REQUEST, _FORBIDDEN = 400, 403
# Older protocols, and services compatible with them, name the error without "Exception"
# (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html).
_PLAIN: Final = frozenset({"query", "rest-xml"})
_QUERY_COMPATIBLE: Final = frozenset({"sqs"})
_QUERY_ERROR: Final = "x-amzn-query-error"


@dataclass(frozen=True, slots=True)
class _Caller:
    """The signer of a call, and its policies."""

    name: str
    """The access key or the ARN of the role, as passed to ``hold``."""
    region: str
    policies: Policies

    @property
    def account(self) -> str:
        """A role's own account; users belong to the platform's account."""
        found = _ROLE.match(self.name)
        return found["account"] if found else ministack.ACCOUNT


class Guard:
    """Authorizes calls. Unrestricted keys and roles may do everything, at no cost."""

    def __init__(self, lookups: Callable[[str], Lookups]) -> None:
        """``lookups`` returns the lookups for an account, always the same."""
        self._lookups = lookups
        self._held: dict[str, Policies] = {}
        self._roles: dict[str, str] = {}
        self._permissions: dict[str, Permissions] = {}

    def hold(self, name: str, documents: Sequence[Mapping[str, Any]]) -> None:
        """Restrict an access key, or a role by its ARN, to policies. Raises ValueError for invalid documents."""
        principal = name if _ROLE.match(name) else f"arn:aws:iam::{ministack.ACCOUNT}:user/{name}"
        self._held[name] = Policies.parse(principal, documents)
        self._permissions[name] = Permissions()

    def release(self, name: str | None = None) -> None:
        """Lift the restriction of a key or role, or all. Keeps the record of its permissions."""
        if name is None:
            self._held.clear()
        else:
            self._held.pop(name, None)

    def permissions(self, name: str) -> Permissions:
        """The permissions that a key or role used and was denied since ``hold`` or ``forget``."""
        return self._permissions.get(name, Permissions())

    def forget(self) -> None:
        """Delete the records of used and denied permissions."""
        self._permissions = {name: Permissions() for name in self._held}

    async def refusal(self, request: Request, ctx: RequestContext) -> web.Response | None:
        """The error answer for a call that is not allowed; None for an allowed one."""
        caller = self._caller(request)
        if caller is None:
            return None
        refused = await asyncio.to_thread(self._refused, caller, request, ctx)
        return None if refused is None else _denied(ctx, caller, *refused)

    async def allows(self, request: Request, service: str, action: str, resource: str) -> bool:
        """Whether the signer of a request may do something with a resource of the account; who is not held may."""
        caller = self._caller(request)
        if caller is None:
            return True
        scope = CallScope(caller.account, caller.region)
        required = RequiredAction(f"{service}:{action}", scope.arn(service, resource))
        decision = await asyncio.to_thread(caller.policies.decision, required, scope, dict)
        return decision.allowed

    def learner(self, request: Request, ctx: RequestContext) -> Callable[[bytes], bytes] | None:
        """A function that learns from an answer which key a restricted role uses; None for other calls."""
        if ctx.service != "sts" or ctx.operation != "AssumeRole" or not self._held:
            return None
        role = str(parameters(ctx, request).get("RoleArn", ""))
        return partial(self._learn, role) if role in self._held else None

    def _learn(self, role: str, body: bytes) -> bytes:
        if found := _ACCESS_KEY.search(body):
            self._roles[found[1].decode()] = role
        return body

    def _caller(self, request: Request) -> _Caller | None:
        if not self._held:
            return None
        signed = _CREDENTIAL.search(request.headers.get("Authorization", ""))
        if signed is None:
            return None
        name = self._roles.get(signed["key"], signed["key"])
        policies = self._held.get(name)
        return _Caller(name, signed["region"], policies) if policies else None

    def _refused(
        self, caller: _Caller, request: Request, ctx: RequestContext
    ) -> tuple[RequiredAction, PolicyDecision] | None:
        known = self._lookups(caller.account)
        scope = CallScope(
            caller.account,
            caller.region,
            config_of=known.config_of,
            volume_key_of=known.volume_key_of,
            target_arn=known.target_arn,
            role_arn=known.role_arn,
        )
        kept = self._permissions.setdefault(caller.name, Permissions())
        for required in _required_actions(ctx, parameters(ctx, request), scope):
            decision = caller.policies.decision(required, scope, partial(known.tags, required.resource))
            if not decision.allowed:
                kept.denied.append(Denial(f"{ctx.service}:{ctx.operation}", required.action, required.resource))
                return required, decision
            kept.used.add(Use(required.action, required.resource, decision.sid, needed=decision.needed))
        return None


def _required_actions(ctx: RequestContext, given: Parameters, scope: CallScope) -> Sequence[RequiredAction]:
    service, operation = ctx.service or "unknown", ctx.operation or "Unknown"
    try:
        return required_actions(service, operation, given, scope)
    except KeyError:
        # No policy allows an operation without rules.
        return (RequiredAction(f"{service}:{operation}", "*"),)


def _denied(ctx: RequestContext, caller: _Caller, required: RequiredAction, decision: PolicyDecision) -> web.Response:
    """The error answer, in AWS's words.

    See https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html.
    """
    why = (
        "with an explicit deny in an identity-based policy"
        if decision.explicit
        else f"because no identity-based policy allows the {required.action} action"
    )
    message = (
        f"User: {caller.policies.principal} is not authorized to perform: {required.action} on resource: "
        f"{required.resource} {why}"
    )
    is_plain = ctx.protocol in _PLAIN or ctx.service in _QUERY_COMPATIBLE
    code = "AccessDenied" if is_plain else "AccessDeniedException"
    answer = error_response(ctx, code, message, _BAD_REQUEST if ctx.protocol == "json" and not is_plain else _FORBIDDEN)
    if _QUERY_ERROR in answer.headers:
        # Only the service's own errors have its name as a prefix.
        answer.headers[_QUERY_ERROR] = f"{code};Sender"
    return answer
