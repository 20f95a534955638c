"""The guard: holds access keys and roles to policies."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

from aiohttp import web
from microburst.core.context import RequestContext

from ephemeral_endpoints.iam.authorization import Demand, Parameters, Place, demands
from ephemeral_endpoints.local.aws import ministack
from ephemeral_endpoints.local.aws.guard.lookups import Lookups
from ephemeral_endpoints.local.aws.guard.parameters import parameters
from ephemeral_endpoints.local.aws.guard.policies import Opinion, Policies
from ephemeral_endpoints.local.aws.guard.record import Denial, Permissions, Use
from ephemeral_endpoints.local.aws.wire import Request, error_response

_CREDENTIAL: Final = re.compile(r"Credential=(?P<key>[^/]+)/[^/]+/(?P<region>[^/]+)/")
_ACCESS_KEY: Final = re.compile(rb"<AccessKeyId>([^<]+)</AccessKeyId>")
_ROLE: Final = re.compile(r"arn:[^:]*:iam::(?P<account>\d{12}):role/")

_BAD_REQUEST, _FORBIDDEN = 400, 403
# Older protocols, and what is compatible with them, name the error without "Exception"
# (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html).
_PLAIN: Final = frozenset({"query", "rest-xml"})
_QUERY_COMPATIBLE: Final = frozenset({"sqs"})
_QUERY_ERROR: Final = "x-amzn-query-error"


@dataclass(frozen=True, slots=True)
class _Caller:
    """Whoever signed a call, and what it is held to."""

    name: str
    """The access key or the ARN of the role, as it was given to ``hold``."""
    region: str
    policies: Policies

    @property
    def account(self) -> str:
        """A role's own account; users are of the platform's."""
        found = _ROLE.match(self.name)
        return found["account"] if found else ministack.ACCOUNT


class Guard:
    """Authorises calls. Keys and roles that are held to nothing may do everything, at no cost."""

    def __init__(self, lookups: Callable[[str], Lookups]) -> None:
        """``lookups`` gives what is known of an account."""
        self._lookups = cache(lookups)
        self._held: dict[str, Policies] = {}
        self._roles: dict[str, str] = {}
        self._permissions: dict[str, Permissions] = {}

    def hold(self, name: str, documents: Sequence[Mapping[str, Any]]) -> None:
        """Hold an access key, or a role by its ARN, to policies from now on. Raises ValueError for bad documents."""
        principal = name if _ROLE.match(name) else f"arn:aws:iam::{ministack.ACCOUNT}:user/{name}"
        self._held[name] = Policies.parse(principal, documents)
        self._permissions[name] = Permissions()

    def release(self, name: str | None = None) -> None:
        """Let a key or role, or all, do everything again. What it used is still told."""
        if name is None:
            self._held.clear()
        else:
            self._held.pop(name, None)

    def permissions(self, name: str) -> Permissions:
        """What became of the calls of a key or role since it was held or ``forget`` was called."""
        return self._permissions.get(name, Permissions())

    def forget(self) -> None:
        """Forget what was used and denied."""
        self._permissions = {name: Permissions() for name in self._held}

    async def refusal(self, request: Request, ctx: RequestContext) -> web.Response | None:
        """The answer to a call that is not allowed; None for one that is."""
        caller = self._caller(request)
        if caller is None:
            return None
        refused = await asyncio.to_thread(self._refused, caller, request, ctx)
        return None if refused is None else _denied(ctx, caller, *refused)

    def learner(self, request: Request, ctx: RequestContext) -> Callable[[bytes], bytes] | None:
        """What reads from an answer which key a held role's credentials have; None for calls that give none."""
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

    def _refused(self, caller: _Caller, request: Request, ctx: RequestContext) -> tuple[Demand, Opinion] | None:
        known = self._lookups(caller.account)
        place = Place(caller.account, caller.region, config_of=known.config_of, target_arn=known.target_arn)
        kept = self._permissions.setdefault(caller.name, Permissions())
        for demand in _demands(ctx, parameters(ctx, request), place):
            opinion = caller.policies.opinion(demand, place, partial(known.tags, demand.resource))
            if not opinion.allowed:
                kept.denied.append(Denial(f"{ctx.service}:{ctx.operation}", demand.action, demand.resource))
                return demand, opinion
            kept.used.add(Use(demand.action, demand.resource, opinion.sid, needed=opinion.needed))
        return None


def _demands(ctx: RequestContext, given: Parameters, place: Place) -> Sequence[Demand]:
    service, operation = ctx.service or "unknown", ctx.operation or "Unknown"
    try:
        return demands(service, operation, given, place)
    except KeyError:
        # What nobody has said how to authorise is not allowed by any policy.
        return (Demand(f"{service}:{operation}", "*"),)


def _denied(ctx: RequestContext, caller: _Caller, demand: Demand, opinion: Opinion) -> web.Response:
    """The answer in AWS's own words.

    See https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html.
    """
    why = (
        "with an explicit deny in an identity-based policy"
        if opinion.explicit
        else f"because no identity-based policy allows the {demand.action} action"
    )
    message = (
        f"User: {caller.policies.principal} is not authorized to perform: {demand.action} on resource: "
        f"{demand.resource} {why}"
    )
    is_plain = ctx.protocol in _PLAIN or ctx.service in _QUERY_COMPATIBLE
    code = "AccessDenied" if is_plain else "AccessDeniedException"
    answer = error_response(ctx, code, message, _BAD_REQUEST if ctx.protocol == "json" and not is_plain else _FORBIDDEN)
    if _QUERY_ERROR in answer.headers:
        # Only errors of the service's own are told with its name in front.
        answer.headers[_QUERY_ERROR] = f"{code};Sender"
    return answer
