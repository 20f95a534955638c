"""A living object: from its spec, its class and what was found out to a URL that answers."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.core import conditions
from ephemeral_endpoints.core.conditions import Situation
from ephemeral_endpoints.core.desired import AS_IT_IS, NOTHING, Resolved, Subject, desired
from ephemeral_endpoints.core.paths import Claim, holder_of
from ephemeral_endpoints.core.plan import Desired, is_ready
from ephemeral_endpoints.core.resources import EndpointSpec, FunctionSpec, Key, Kind
from ephemeral_endpoints.kube.client import secret_name
from ephemeral_endpoints.kube.store import ObjectKey
from ephemeral_endpoints.reconcile import images, steering
from ephemeral_endpoints.reconcile.act import View
from ephemeral_endpoints.reconcile.collection import collect_replaced
from ephemeral_endpoints.reconcile.observe import probe_delay
from ephemeral_endpoints.reconcile.report import Facts
from ephemeral_endpoints.reconcile.run import IMAGE, Context, Run


async def live(context: Context, run: Run) -> float | None:
    """Reconcile a living object; returns in how many seconds it is due again."""
    if run.subject.endpoint.spec.suspend:
        context.quotas.keep_only(run.account.scope, run.identity.uid, ())
        context.builds.wants_nothing(run.key, run.subject.klass)
        facts = Facts(conditions.of_suspended(), own=run.own, subject=run.subject, keep_conditions=True)
        await context.reporter.tell(run.key, run.subject.endpoint, facts)
        return _due_by_age(context, run)
    place = _place(context, run)
    if place.api not in run.others:
        context.wake(ObjectKey(None, run.subject.klass.metadata.name))
    token = context.observer.token(run.subject, context.store.raw(run.key), run.memory)
    await asyncio.gather(images.look_up(context, run), token)
    await run.act(lambda: _view(context, run, place), context)
    if run.is_gone(context.store):
        return None
    if context.is_leaving(run.current(context.store)):
        return 0.0
    view = _view(context, run, place)
    url = _url(run, view.desired, place)
    if url and _is_in_place(run, view):
        await context.observer.answer(run.subject, url, _serving(run, url), run.memory)
    await steering.read_last_lines(context, run)
    await _report(context, run, view, url, place)
    return _due(context, run, url)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the object's URL is: its API, and whoever else has its path."""

    api: Key
    holder: Claim | None


def _place(context: Context, run: Run) -> _Place:
    names, inventory = run.subject.names, run.account.inventory.all
    api = context.placements.place(names.owner, names.base, run.subject.klass, inventory)
    return _Place(api, _path_holder(context, run))


def _view(context: Context, run: Run, place: _Place) -> View:
    """What the planner sees, of the object as it is at this moment: it may have been changed or deleted meanwhile."""
    subject, memory = run.current(context.store), run.memory
    if run.is_gone(context.store):
        return View(NOTHING, run.own, run.others)
    if context.is_leaving(subject) or subject.endpoint.spec.suspend:
        return View(AS_IT_IS, run.own, run.others)
    digests = memory.images.digests(subject.endpoint.spec.source.revision)
    wanted = desired(subject, Resolved(digests, memory.token_sha256, place.api, owns_path=place.holder is None))
    return View(steering.steered(context, run, subject, wanted), run.own, run.others)


def _is_in_place(run: Run, view: View) -> bool:
    """Whether all that is wanted is there; what is not wanted any more may resist its deletion."""
    there, wants = {**view.others, **view.own}, view.desired.wants
    return not view.desired.hold and all(want.key not in run.errors and is_ready(want, there) for want in wants)


async def _report(context: Context, run: Run, view: View, url: str | None, place: _Place) -> None:
    memory, subject = run.memory, run.subject
    image_failure = memory.retries.failures.get(IMAGE)
    situation = Situation(
        desired=view.desired,
        own=view.own,
        others=view.others,
        image=memory.images.overall(subject.images),
        errors=run.errors,
        problems=tuple(
            problem for problem in (subject.refusal, image_failure.error if image_failure else None) if problem
        ),
        path_holder=place.holder.holder if place.holder else None,
        answered=url is not None and memory.answered_by == _serving(run, url),
        answer=memory.answer,
        last_lines=memory.last_lines,
        endpoints=steering.told(run),
        note=_note(subject),
        token_secret=secret_name(subject.endpoint.metadata.name) if subject.needs_token else None,
    )
    verdicts = conditions.of_living(situation)
    facts = Facts(
        verdicts,
        own=view.own,
        subject=subject,
        digests=memory.images.digests(subject.endpoint.spec.source.revision),
        url=url,
        serves=verdicts[0].truth is conditions.Truth.TRUE,
        bill=steering.bill(run),
    )
    await context.reporter.tell(run.key, subject.endpoint, facts)
    if facts.serves and memory.images.replaced:
        await collect_replaced(context, run)


def _path_holder(context: Context, run: Run) -> Claim | None:
    """The claim of another object that has the path; None if it is this one's."""
    asking = context.store.sharing_path(run.subject.path, run.subject.klass.metadata.name)
    subjects = ((key, replace(run.subject, endpoint=endpoint)) for key, endpoint in asking)
    claims = (
        _claim(key, subject)
        for key, subject in subjects
        if not context.is_leaving(subject) or _has_route(run.account, subject)
    )
    holder = holder_of(run.subject.path, claims)
    return holder if holder and holder.uid != run.identity.uid else None


def _has_route(account: Account, subject: Subject) -> bool:
    return any(key.kind is Kind.ROUTE for key in account.inventory.of(subject.names.owner))


def _claim(key: ObjectKey, subject: Subject) -> Claim:
    return Claim(subject.created_at, subject.endpoint.metadata.uid, subject.path, str(key))


def _url(run: Run, wanted: Desired, place: _Place) -> str | None:
    """The public URL, once the route to it is there."""
    api = run.others.get(place.api)
    own = run.own
    routed = any(want.key.kind is Kind.ROUTE and is_ready(want, own) for want in wanted.wants)
    return f"{api.url.rstrip('/')}{run.subject.path}" if api and routed else None


def _serving(run: Run, url: str) -> tuple[str, ...]:
    """Everything that an answer through the URL depends on."""
    own = run.own
    specs = [own[key].spec for key in sorted(own)]
    configs = [spec.config for spec in specs if isinstance(spec, EndpointSpec)]
    return (url, *configs, *(spec.code_sha256 for spec in specs if isinstance(spec, FunctionSpec)))


def _due(context: Context, run: Run, url: str | None) -> float:
    memory = run.memory
    waits = [_due_by_age(context, run), *run.waits]
    if run.steered and run.steered.next_at:
        waits.append(max(0.0, (run.steered.next_at - context.now()) / timedelta(seconds=1)))
    if (retry := context.retry_due(memory)) is not None:
        waits.append(retry)
    if (looked := images.due(context, run)) is not None:
        waits.append(looked)
    if memory.last_lines_due is not None:
        waits.append(max(0.0, memory.last_lines_due - context.clock()))
    if url and memory.probes:
        waits.append(probe_delay(memory))
    return min(waits)


def _due_by_age(context: Context, run: Run) -> float:
    return max(0.0, (run.subject.lifetime.expires_at - context.now()) / timedelta(seconds=1))


def _note(subject: Subject) -> str:
    if not subject.lifetime.capped:
        return ""
    return "the ttl is longer than the class allows and was cut to the class's maxTtl"
