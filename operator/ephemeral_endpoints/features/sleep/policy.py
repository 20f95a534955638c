"""Whether an object is asleep: a function of its spec, its class, its annotations, its last status, and the clock."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api import SLEEP_ANNOTATION, WAKE_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.api.v1alpha1.duration import format_duration
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.serving import Serving
from ephemeral_endpoints.api.v1alpha1.sleep import Sleep, WakeOn
from ephemeral_endpoints.engine.conditions import ConditionStatus, ConditionType
from ephemeral_endpoints.engine.errors import NotAllowed
from ephemeral_endpoints.features.expiry.policy import is_of_stage, moment
from ephemeral_endpoints.features.serving.specs import ENDPOINT_READY
from ephemeral_endpoints.features.sleep.hours import Hours, hours_at, zone
from ephemeral_endpoints.features.subject import Subject

ACTIVE: Final = "Active"
"""The condition that is False while an object is asleep."""

AFTER_HOURS: Final = timedelta(minutes=30)
"""How long an object is awake after its last use outside of its hours, if it has no ``idleTimeout``."""

WHAT_SLEEPS: Final = "only endpoints on instances that answer at once do, and those with provisioned concurrency"
"""Which endpoints sleep, as the end of a message."""

_SECOND: Final = timedelta(seconds=1)
_UNCERTAIN: Final = timedelta(minutes=1)
_NO_QUEUE: Final = "the class has no queue through which a request could"
_OR_ASK: Final = "or ask the platform team to set events of the class"
_FURTHEST: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Calls:
    """When an object was called last, and when a call found it asleep last, in UTC; None: never, as far as known.

    ``is_certain``: the clocks agree, so that it can be said how long ago that was.
    """

    used_at: datetime | None = None
    woken_at: datetime | None = None
    is_certain: bool = True


@dataclass(frozen=True, slots=True)
class Use:
    """What is known of the use of an object, in UTC. None is what never was.

    It is awake since ``active_since``, and its endpoint serves since ``ready_since``; both are None while it is asleep.
    ``is_changing``: its newest spec or commit is not served yet, or its checks are running. ``is_certain``: the clocks
    agree.
    """

    created_at: datetime
    sleep_at: datetime | None = None
    wake_at: datetime | None = None
    used_at: datetime | None = None
    active_since: datetime | None = None
    ready_since: datetime | None = None
    is_changing: bool = False
    is_asleep: bool = False
    is_ready: bool = True
    is_certain: bool = True


@dataclass(frozen=True, slots=True)
class Rest:
    """Whether an object is asleep, and when that changes by itself.

    ``why`` is for people, and stays the same for as long as the decision does; one that is awake sleeps soon for it.
    ``is_forced``: neither a request nor a command nor a change wakes it, and ``why`` says what does. ``answers``: its
    endpoint answers even then, and only its provisioned concurrency is given up.
    """

    is_asleep: bool = False
    why: str = ""
    next_at: datetime | None = None
    is_forced: bool = False
    answers: bool = False

    @property
    def is_stopped(self) -> bool:
        """Whether the endpoint is gone while the object is asleep."""
        return self.is_asleep and not self.answers


AWAKE: Final = Rest()


def can_sleep(serving: Serving) -> bool:
    """Whether the capacity costs while it is not used, and can be given up without losing requests."""
    return stops_asleep(serving) or answers_asleep(serving)


def stops_asleep(serving: Serving) -> bool:
    """Whether the endpoint is gone while it is asleep."""
    return serving.instances is not None and serving.asynchronous is None


def never_sleeps(endpoint: EphemeralEndpoint) -> bool:
    """Whether neither a rule nor a command sends the object to sleep."""
    return not can_sleep(endpoint.spec.serving) or is_of_stage(endpoint.metadata)


def answers_asleep(serving: Serving) -> bool:
    """Whether the endpoint answers while it is asleep: what it gives up then is its provisioned concurrency."""
    return serving.is_provisioned


def rules_of(subject: Subject) -> Sleep | None:
    """The rules of an object: its own, else those of its class; None if it does not sleep by itself."""
    endpoint = subject.endpoint
    return None if never_sleeps(endpoint) else endpoint.spec.sleep or subject.endpoint_class.spec.sleep


def wakes_on_request(subject: Subject) -> bool:
    """Whether a request to the URL wakes the object, be it sent to sleep by a rule or by a command.

    Whoever is not authenticated wakes nothing: it would cost.
    """
    spec = subject.endpoint.spec
    has_queue = subject.endpoint_class.spec.events is not None
    if never_sleeps(subject.endpoint) or not has_queue or spec.api.auth.type is AuthType.NONE:
        return False
    return (rules_of(subject) or Sleep()).wake_on is WakeOn.REQUEST


def refusal(subject: Subject) -> NotAllowed | None:
    """Why the object cannot sleep as it asks to; None if it can, or does not ask."""
    asked, rules = subject.endpoint.spec.sleep, rules_of(subject)
    if rules and rules.schedule and zone(rules.schedule.time_zone) is None:
        whose = "spec.sleep" if asked else "sleep of the class"
        return NotAllowed(
            f"timeZone {rules.schedule.time_zone} in {whose} is no time zone: use a name such as Europe/Berlin"
        )
    if asked is None or subject.endpoint_class.spec.events:
        return None
    if asked.wake_on is WakeOn.REQUEST:
        return NotAllowed(f"{_NO_QUEUE} wake the endpoint: set spec.sleep.wakeOn to Command, {_OR_ASK}")
    if asked.idle_timeout:
        return NotAllowed(f"{_NO_QUEUE} count as use: remove spec.sleep.idleTimeout, {_OR_ASK}")
    return None


def is_asleep(endpoint: EphemeralEndpoint) -> bool:
    """Whether the object is asleep by its status."""
    return any(
        each.type == ACTIVE and each.status == ConditionStatus.FALSE.value for each in endpoint.status.conditions
    )


def is_stopped(endpoint: EphemeralEndpoint) -> bool:
    """Whether the object is asleep by its status, and its endpoint gone."""
    return is_asleep(endpoint) and not answers_asleep(endpoint.spec.serving)


def use_of(subject: Subject, calls: Calls, now: datetime, *, is_busy: bool) -> Use:
    """The use of an object by its calls, its annotations and its last status.

    ``is_busy``: checks or comparisons of it are running.
    """
    endpoint = subject.endpoint
    annotations, generation = endpoint.metadata.annotations, endpoint.metadata.generation
    current = {each.type: each for each in endpoint.status.conditions}
    active, ready = current.get(ACTIVE), current.get(ConditionType.READY)
    sleeps, woken_at = is_asleep(endpoint), calls.woken_at if wakes_on_request(subject) else None
    is_seen = (active.observed_generation if active else endpoint.status.observed_generation) == generation
    return Use(
        subject.created_at,
        sleep_at=commanded_at(annotations.get(SLEEP_ANNOTATION, ""), now),
        wake_at=max(filter(None, (commanded_at(annotations.get(WAKE_ANNOTATION, ""), now), woken_at)), default=None),
        # Use of an object that is asleep has to wake it first.
        used_at=None if sleeps else calls.used_at,
        active_since=None if sleeps else _since(active),
        ready_since=None if sleeps else _since(current.get(ENDPOINT_READY)),
        is_changing=endpoint.status.revision != endpoint.revision or not is_seen or is_busy,
        is_asleep=sleeps,
        is_ready=ready is not None and ready.status == ConditionStatus.TRUE.value,
        is_certain=calls.is_certain,
    )


def rest_of(subject: Subject, calls: Calls, now: datetime, *, is_busy: bool, forced: Rest = AWAKE) -> Rest:
    """Whether the object is asleep at ``now``, as it is if it is ``forced`` to; see ``use_of`` for the rest."""
    serving = subject.endpoint.spec.serving
    if never_sleeps(subject.endpoint):
        return AWAKE
    own = decide(rules_of(subject), use_of(subject, calls, now, is_busy=is_busy), now)
    return replace(forced if forced.is_asleep else own, answers=answers_asleep(serving))


def decide(rules: Sleep | None, use: Use, now: datetime) -> Rest:
    """Whether an object with these rules is asleep.

    A command holds until the object is woken: by a later command, by a change, or at the beginning of its hours. An
    object falls asleep by a rule only once it is ready, and never while it is changing, or while clocks differ.
    """
    hours = hours_at(rules.schedule, now) if rules and rules.schedule else None
    opened_at, opens_at = (hours.opened_at, hours.opens_at) if hours else (None, None)
    woken_at = max(each for each in (use.created_at, use.wake_at, use.active_since, opened_at) if each)
    if use.sleep_at and use.sleep_at > woken_at:
        why = f"the annotation {SLEEP_ANNOTATION} asks for it"
        return Rest(why=why) if use.is_changing else Rest(is_asleep=True, why=why, next_at=opens_at)
    if rules is None or use.is_changing:
        return AWAKE
    if hours and hours.closes_at:
        return Rest(next_at=hours.closes_at)
    return _idle(rules, hours, use, max(filter(None, (woken_at, use.ready_since, use.used_at))), now)


def commanded_at(text: str, now: datetime) -> datetime | None:
    """The time of a command, as its annotation holds it; None for none, and for one more than a year ahead."""
    at = moment(text)
    return at if at and at <= now + _FURTHEST else None


def later_than(opposite: str, now: datetime) -> datetime:
    """The time of a command that counts although the annotation of the opposite one may be of a clock that is ahead."""
    before = commanded_at(opposite, now)
    return max(now, before + _SECOND) if before else now


def _idle(rules: Sleep, hours: Hours | None, use: Use, used_at: datetime, now: datetime) -> Rest:
    """Whether the object sleeps because nobody uses it."""
    if rules.idle_timeout is None and hours is None:
        return AWAKE
    timeout = rules.idle_timeout or AFTER_HOURS
    if now < used_at + timeout:
        return Rest(next_at=used_at + timeout)
    if not use.is_asleep and not use.is_certain:
        return Rest(next_at=now + _UNCERTAIN)
    if not use.is_ready and not use.is_asleep:
        return AWAKE
    opens_at = hours.opens_at if hours else None
    outside = "outside of the hours of the schedule, " if hours else ""
    return Rest(is_asleep=True, why=f"{outside}not used for {format_duration(timeout)}", next_at=opens_at)


def _since(condition: Condition | None) -> datetime | None:
    is_true = condition is not None and condition.status == ConditionStatus.TRUE.value
    return condition.last_transition_time if condition and is_true else None
