"""Decides about each call: applies rates, then faults, and records the outcome."""

from dataclasses import dataclass, field

from aiohttp import web
from microburst.core.context import RequestContext
from microburst.effects import apply_decision
from microburst.effects.latency import apply as delay
from microburst.rules import Decision

from eep_platform.aws.faults import Faults, loses_answer, only_delays
from eep_platform.aws.ledger import Call, Ledger, Outcome
from eep_platform.aws.limits import Throttle
from eep_platform.aws.wire import error_response


@dataclass(frozen=True, slots=True)
class Judgement:
    """The decision about a call: `answer` ends it; otherwise it is forwarded, and its answer may be lost."""

    call: Call
    answer: web.StreamResponse | None = None
    lose_answer: bool = False


@dataclass(frozen=True, slots=True)
class Meter:
    """The ledger, the rates and the faults of a front."""

    ledger: Ledger = field(default_factory=Ledger)
    throttle: Throttle = field(default_factory=Throttle)
    faults: Faults = field(default_factory=Faults)

    async def judge(self, request: web.Request, ctx: RequestContext) -> Judgement:
        """Decide on a call and record it; waits where a fault holds or delays it."""
        limit = self.throttle.admit(ctx.service, ctx.operation)
        if limit is not None:
            refusal = error_response(ctx, limit.error_code, "Rate exceeded")
            return Judgement(self._record(ctx, Outcome.THROTTLED, refusal.status), refusal)
        decision = self.faults.decide(ctx)
        call = self._record(ctx, _outcome(decision))
        if decision is None:
            return Judgement(call)
        await self.faults.hold(decision)
        if only_delays(decision) or loses_answer(decision):
            await delay(decision)
            return Judgement(call, lose_answer=loses_answer(decision))
        answer = await apply_decision(request, ctx, decision)
        call.status = None if decision.reset else answer.status
        return Judgement(call, answer)

    def _record(self, ctx: RequestContext, outcome: Outcome, status: int | None = None) -> Call:
        return self.ledger.record(ctx.service, ctx.operation, ctx.resource, outcome, status)


def _outcome(decision: Decision | None) -> Outcome:
    if decision is None or only_delays(decision):
        return Outcome.FORWARDED
    return Outcome.LOST if loses_answer(decision) else Outcome.FAULTED
