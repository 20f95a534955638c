"""Failures on purpose: what can go wrong with an AWS call, as rules that choose calls and say what happens to them."""

import asyncio
from typing import Any, Self

from microburst.core.context import RequestContext
from microburst.rules import Decision, Rule, RuleEngine
from pydantic import BaseModel, ConfigDict, Field, model_validator

from eep_platform.aws.wire import operations


class FaultError(BaseModel):
    """An error answer. Without `status`, the one that the service gives with this code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    message: str = ""
    status: int | None = Field(default=None, ge=400, le=599)


class Fault(BaseModel):
    """Which calls fail, and how.

    Chosen are calls of `service` (`*`: any) and `operation` whose resource contains `resource` (the labels of the
    path, else the first required name in the body), the first `times` of them, each with `probability`. First the call
    waits: if `held`, until the faults are cleared, and then `delay_seconds`. Then it ends by at most one of: an `error`
    answer; a timeout (held for `timeout_seconds`, then 504); a `reset` connection, the service having seen nothing; an
    `answer_lost`, the service having done it all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    operation: str | None = None
    resource: str | None = None
    times: int | None = Field(default=None, ge=1)
    probability: float = Field(default=1.0, gt=0, le=1)
    held: bool = False
    delay_seconds: float = Field(default=0, ge=0)
    error: FaultError | None = None
    timeout_seconds: float | None = Field(default=None, gt=0)
    reset: bool = False
    answer_lost: bool = False

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        ends = (self.error is not None, self.timeout_seconds is not None, self.reset, self.answer_lost)
        if sum(ends) > 1:
            raise ValueError("choose one of error, timeout_seconds, reset and answer_lost")
        if not any((*ends, self.held, self.delay_seconds)):
            raise ValueError("say what happens: error, timeout_seconds, reset, answer_lost, held or delay_seconds")
        return self

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        if self.service == "*":
            return self
        known = operations(self.service)
        if known is None:
            raise ValueError(f"there is no AWS service {self.service!r}: use the name that boto3.client takes, or *")
        if self.operation is not None and self.operation not in known:
            raise ValueError(f"{self.service} has no operation {self.operation}")
        return self

    def rule(self) -> dict[str, Any]:
        """The fault in microburst's rule language."""
        rule: dict[str, Any] = self.model_dump(
            include={"service", "operation", "resource", "times", "probability", "reset"}
        )
        if self.error is not None:
            rule["error"] = self.error.model_dump()
        if self.delay_seconds:
            rule["latency"] = self.delay_seconds * 1000
        if self.timeout_seconds is not None:
            rule["timeout_ms"] = self.timeout_seconds * 1000
        if self.answer_lost:
            rule["response"] = {"abort_bytes": 0}
        return rule


class FiredFault(BaseModel):
    """A fault in force and how often it has struck."""

    model_config = ConfigDict(frozen=True)

    fault: Fault
    fired: int


class Faults:
    """The faults in force, in order: the first that chooses a call decides on it."""

    def __init__(self) -> None:
        self._engine = RuleEngine()
        self._faults: list[tuple[Fault, Rule]] = []
        self._ended = asyncio.Event()

    def add(self, faults: list[Fault]) -> None:
        """Put faults in force after those that are."""
        rules = self._engine.add_rules([fault.rule() for fault in faults])
        self._faults += zip(faults, rules, strict=True)

    def clear(self, *, only_fired: bool = False) -> None:
        """End all faults, or those that have struck; calls that are held go on."""
        kept = [fault for fault, rule in self._faults if only_fired and not rule.fired_count]
        self._engine.set_rules([])
        self._faults.clear()
        self.add(kept)
        self._ended.set()
        self._ended = asyncio.Event()

    def fired(self) -> list[FiredFault]:
        """Every fault in force with its count."""
        return [FiredFault(fault=fault, fired=rule.fired_count) for fault, rule in self._faults]

    def decide(self, ctx: RequestContext) -> Decision | None:
        """What is to happen to a call; None: nothing."""
        return self._engine.decide(ctx)

    async def hold(self, decision: Decision) -> None:
        """Wait until the fault that decided on a call is ended, if it holds its calls."""
        if any(fault.held for fault, rule in self._faults if rule is decision.rule):
            await self._ended.wait()


def loses_answer(decision: Decision) -> bool:
    """Whether the service is to do its work and the caller never to hear of it."""
    return decision.response_fault is not None and decision.response_fault.abort_bytes is not None


def only_delays(decision: Decision) -> bool:
    """Whether the call is to pass after all."""
    return not (decision.error or decision.timeout_ms or decision.reset or loses_answer(decision))
