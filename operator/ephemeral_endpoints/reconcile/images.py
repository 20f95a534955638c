"""The images of an object: refused, awaited, made, checked, and in the end pinned to their digests."""

import asyncio
from typing import Final

from ephemeral_endpoints.core import orders
from ephemeral_endpoints.core.backoff import poll_delay
from ephemeral_endpoints.core.builds import Demand, Order
from ephemeral_endpoints.core.desired import Subject
from ephemeral_endpoints.core.errors import Problem, Unauthenticated
from ephemeral_endpoints.core.image_checks import judged, unfit
from ephemeral_endpoints.core.images import ImageProblem, ImageReference, ImageState, refusal
from ephemeral_endpoints.core.repositories import repository_want
from ephemeral_endpoints.core.status import recorded_images
from ephemeral_endpoints.kube.store import ObjectKey
from ephemeral_endpoints.reconcile.memory import Images
from ephemeral_endpoints.reconcile.run import IMAGE, Context, Run

POLL_SECONDS: Final = (2.0, 30.0)


async def look_up(context: Context, run: Run) -> None:
    """Resolve every image once for a revision; look again for those that are missing. What fails is remembered.

    Raises Unauthenticated, which concerns more than this object.
    """
    retries = run.memory.retries
    if IMAGE in retries.standing(context.clock()):
        return
    try:
        await _look_up(context, run)
    except Unauthenticated:
        raise
    except Problem as error:
        retries.note(IMAGE, error, context.clock())
    else:
        retries.clear(IMAGE)


def due(context: Context, run: Run) -> float | None:
    """In how many seconds images are to be looked at again; None if only a change or a build can make it so."""
    known, subject = run.memory.images, run.subject
    waits = [known.due - context.clock()] if any(map(known.is_polled, subject.images)) else []
    follow = subject.klass.spec.images.follow_tags
    if follow and _pushed(subject):
        waits.append(known.looked_at + follow.total_seconds() - context.clock())
    return max(0.0, min(waits)) if waits else None


async def _look_up(context: Context, run: Run) -> None:
    known = _remembered(context, run)
    uris = _to_resolve(context, run, known)
    if order := run.subject.order:
        _forget_if_lost(run, known, order)
        uris |= _to_make(context, run, known, order)
    else:
        context.builds.wants_nothing(run.key, run.subject.klass)
    if uris:
        await _resolve(context, run, known, uris)


def _remembered(context: Context, run: Run) -> Images:
    memory, subject = run.memory, run.subject
    revision, wanted = subject.endpoint.spec.source.revision, subject.images
    replaced = memory.images.replaced | memory.images.states.keys() | _served(subject)
    if memory.images.revision != revision:
        memory.images = Images(revision, states=_recorded(subject), looked_at=context.clock())
    known = memory.images
    refused = {uri for uri in _pushed(subject) if _refusal(run, ImageReference.parse(uri))}
    known.states = {
        uri: state
        for uri, state in known.states.items()
        # What a status records is no permission: whoever could write it could have anything served.
        if uri in wanted and not (uri in refused and known.is_pinned(uri))
    }
    known.replaced = {uri for uri in replaced if uri not in wanted}
    return known


def _to_resolve(context: Context, run: Run, known: Images) -> frozenset[str]:
    """The images that somebody pushes and ECR is to be asked for now."""
    pushed = _pushed(run.subject)
    missing = known.unresolved(pushed)
    is_new = any(uri not in known.states for uri in missing)
    follow = run.subject.klass.spec.images.follow_tags
    if follow and context.clock() >= known.looked_at + follow.total_seconds():
        return frozenset(uri for uri in pushed if uri in missing or "@" not in uri)
    return missing if is_new or context.clock() >= known.due else frozenset()


def _forget_if_lost(run: Run, known: Images, order: Order) -> None:
    """What was in a repository that somebody deleted is to be made again."""
    want = repository_want(run.subject.cluster_id, run.subject.klass)
    repository = run.others.get(want.key) if want else None
    if repository is None:
        return
    if known.repository not in {"", repository.id}:
        known.states.pop(order.image, None)
    known.repository = repository.id


def _to_make(context: Context, run: Run, known: Images, order: Order) -> frozenset[str]:
    """The image that the class makes, if ECR is to be asked for it now; else what is told of it is noted."""
    key, endpoint, klass, image = run.key, run.subject.endpoint, run.subject.klass, order.image
    # What was made is served on, whatever the class allows by now.
    refused = None if known.is_pinned(image) else orders.refusal(endpoint, klass)
    if refused or known.is_pinned(image):
        context.builds.wants_nothing(key, klass)
        known.states |= {image: refused} if refused else {}
        return frozenset()
    if making := context.builds.making(key, klass, run.account, order):
        known.states[image] = making
        return frozenset()
    # What nobody has asked for yet, or was just made, is looked for at once.
    return frozenset() if known.is_polled(image) and context.clock() < known.due else frozenset({image})


async def _resolve(context: Context, run: Run, known: Images, uris: frozenset[str]) -> None:
    known.looks += 1
    first, longest = POLL_SECONDS
    known.due = context.clock() + poll_delay(known.looks, first=first, longest=longest)
    known.looked_at = context.clock()
    asked = sorted(uris)
    states = await asyncio.gather(*(_resolved(context, run, uri) for uri in asked))
    for uri, state in zip(asked, states, strict=True):
        # A tag that is gone does not take away what is served.
        if state.digest or not known.is_pinned(uri):
            known.states[uri] = state


async def _resolved(context: Context, run: Run, uri: str) -> ImageState:
    subject, account = run.subject, run.account
    order, reference = subject.order, ImageReference.parse(uri)
    is_made = order is not None and uri == order.image
    if not is_made and (refused := _refusal(run, reference)):
        return refused
    calls = account.calls.on_behalf_of(subject.names.owner, account.calls.lane)
    state = await account.images.resolve(calls, reference)
    if order and is_made and state.problem is ImageProblem.NOT_FOUND:
        return _ordered(context, run, order)
    return state if state.problem else await _checked(run, reference, state)


def _refusal(run: Run, reference: ImageReference) -> ImageState | None:
    """Why the class does not take an image that somebody pushes; None if it does."""
    scope, policy = run.account.scope, run.subject.klass.spec.images
    return refusal(reference, region=scope.region, account=scope.account_id, allowed=tuple(policy.allowed_repositories))


def _ordered(context: Context, run: Run, order: Order) -> ImageState:
    subject = run.subject
    want = repository_want(subject.cluster_id, subject.klass)
    if want and want.key not in run.others:
        context.wake(ObjectKey(None, subject.klass.metadata.name))
        message = f"waits for the repository {want.key.name}, which is made for the class"
        return ImageState(problem=ImageProblem.QUEUED, message=message)
    demand = Demand(subject.created_at, subject.endpoint.metadata.uid, order, run.key.namespace or "")
    return context.builds.demand(run.key, subject.klass, run.account, demand)


async def _checked(run: Run, reference: ImageReference, state: ImageState) -> ImageState:
    """Whether what is there can and may be served."""
    subject, account = run.subject, run.account
    serving, policy = subject.endpoint.spec.serving, subject.klass.spec.images.scan
    problem = unfit(state, platform=orders.platform_of(serving), is_serverless=serving.instances is None)
    if problem or policy is None or state.digest is None:
        return problem or state
    calls = account.calls.on_behalf_of(subject.names.owner, account.calls.lane)
    scan = await account.images.scan(calls, reference, state.digest)
    return judged(scan, policy) or state


def _pushed(subject: Subject) -> frozenset[str]:
    """The images that somebody else pushes."""
    order = subject.order
    return subject.images - ({order.image} if order else frozenset())


def _recorded(subject: Subject) -> dict[str, ImageState]:
    """What the status recorded for these very images and this revision.

    A tag that moves meanwhile does not move what is served.
    """
    known = subject.endpoint.status
    if known.revision != subject.endpoint.spec.source.revision:
        return {}
    return {image.uri: ImageState(digest=image.digest) for image in recorded_images(known)}


def _served(subject: Subject) -> set[str]:
    """The images that the object served last, as its status tells."""
    return {image.uri for image in recorded_images(subject.endpoint.status)}
