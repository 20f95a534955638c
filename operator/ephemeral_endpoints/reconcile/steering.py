"""The endpoints of a living object: what is to be done about them, and what is to be told of them."""

from collections.abc import Collection
from decimal import Decimal
from typing import Final

from ephemeral_endpoints.api.duration import format_duration
from ephemeral_endpoints.core import cost
from ephemeral_endpoints.core.cost import Bill
from ephemeral_endpoints.core.creation import Patience
from ephemeral_endpoints.core.desired import Subject
from ephemeral_endpoints.core.failures import Endpoints
from ephemeral_endpoints.core.plan import Desired
from ephemeral_endpoints.core.resources import FAILURES, EndpointConfigSpec, Have, Kind
from ephemeral_endpoints.core.steering import Moment, steer
from ephemeral_endpoints.core.tags import timestamp
from ephemeral_endpoints.reconcile.run import Context, Run

LONGEST_PAUSE: Final = Patience().longest


def steered(context: Context, run: Run, subject: Subject, wanted: Desired) -> Desired:
    """What is wanted, with what SageMaker gave up left alone and what failed tried again when it is due."""
    memory, policy = run.memory, subject.klass.spec.endpoints
    moment = Moment(
        now=context.now(),
        generation=subject.endpoint.metadata.generation,
        asked_at=memory.asked_at,
        patience=Patience(policy.creation_attempts, policy.retry_after, max(LONGEST_PAUSE, policy.retry_after)),
        timeout=policy.creation_timeout,
    )
    run.steered = steer(wanted, run.own, memory.endpoints, moment)
    memory.endpoints = run.steered.record
    asked = {
        want.key.name: cost.capacities(want.spec) for want in wanted.wants if isinstance(want.spec, EndpointConfigSpec)
    }
    there = {key.name for key in run.own if key.kind is Kind.ENDPOINT_CONFIG}
    memory.configs = {name: each for name, each in memory.configs.items() if name in there} | asked
    return run.steered.desired


def told(run: Run) -> Endpoints:
    """How the endpoints do, beside what the inventory shows."""
    if run.steered is None:
        return Endpoints()
    stuck = " ".join(_stuck(run, have) for have in run.steered.stuck)
    return Endpoints(run.steered.given_up, run.steered.record.tries, stuck)


def bill(run: Run, haves: Collection[Have] | None = None) -> Bill | None:
    """What the endpoints that stand cost an hour, or some of them; None if that is not known."""
    some = run.own if haves is None else {have.key: have for have in haves}
    standing = cost.standing(some, run.memory.configs)
    if standing is None:
        return None
    prices = {type_: Decimal(price) for type_, price in run.subject.klass.spec.prices.items()}
    return cost.bill(standing, prices)


async def read_last_lines(context: Context, run: Run) -> None:
    """Read what the model server of a failing endpoint said last."""
    endpoint = _failing(run)
    if endpoint:
        await context.observer.last_lines(run.subject, run.account, endpoint, run.memory)
    else:
        run.memory.last_lines_due = None


def _failing(run: Run) -> Have | None:
    concluded = run.steered
    given_up = concluded.given_up if concluded else frozenset()
    stuck = {have.key for have in concluded.stuck} if concluded else set()
    own = run.own
    endpoints = (own[key] for key in sorted(own) if key.kind is Kind.ENDPOINT)
    return next((each for each in endpoints if each.phase in FAILURES or each.key in given_up | stuck), None)


def _stuck(run: Run, endpoint: Have) -> str:
    timeout = format_duration(run.subject.klass.spec.endpoints.creation_timeout)
    since = timestamp(endpoint.since) if endpoint.since else "long ago"
    return (
        f"{endpoint.key} is {endpoint.status} since {since}, longer than the class's creationTimeout of {timeout}, "
        f"and costs {bill(run, [endpoint]) or 'what is not known'} meanwhile. SageMaker takes neither a change nor a "
        "deletion before it is done: see the model's logs, or delete the object, and it goes as soon as it can."
    )
