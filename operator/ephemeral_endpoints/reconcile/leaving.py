"""An object on its way out: everything in AWS goes, is seen to be gone, and only then the finalizer does.

Where the object says so everything stays instead, and is seen to be marked before the finalizer goes.
"""

import logging
from collections.abc import Iterable
from typing import Final

from ephemeral_endpoints.api import ABANDON_ANNOTATION
from ephemeral_endpoints.api.endpoint import DeletionPolicy, EphemeralEndpoint
from ephemeral_endpoints.core import conditions
from ephemeral_endpoints.core.desired import AS_IT_IS, NOTHING
from ephemeral_endpoints.core.lifecycle import is_retired_on_expiry
from ephemeral_endpoints.core.resources import Haves
from ephemeral_endpoints.core.tags import RETAINED_MARKS
from ephemeral_endpoints.kube.store import ObjectKey
from ephemeral_endpoints.reconcile.act import View
from ephemeral_endpoints.reconcile.collection import collect_last, is_being_made
from ephemeral_endpoints.reconcile.marking import mark
from ephemeral_endpoints.reconcile.report import Facts
from ephemeral_endpoints.reconcile.run import TAGS, Context, Run

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 1.0
"""So soon that is deleted again which AWS still shows after its deletion: nothing else would wake the object."""

_DELETED: Final = ("Deleting", "everything in AWS is being deleted")
_EXPIRED: Final = ("Expired", "the time to live is over")


async def leave(context: Context, run: Run) -> float | None:
    """Reconcile an object that is deleted or expired; returns in how many seconds it is due again."""
    context.quotas.keep_only(run.account.scope, run.identity.uid, ())
    context.builds.wants_nothing(run.key, run.subject.klass)
    if _is_to_be_deleted(run):
        await _delete(context, run)
    if _is_revived(context, run):
        return 0.0
    endpoint = run.current(context.store).endpoint
    if is_abandoned(endpoint):
        await abandon(context, run.key, endpoint, map(str, run.own))
        context.wake_neighbours(run)
        return None
    if _is_retained(endpoint):
        return await _retain(context, run)
    return await _take_away(context, run)


async def _take_away(context: Context, run: Run) -> float | None:
    """Delete everything, and once it is seen to be gone let the object go."""
    await run.act(lambda: _view(context, run), context)
    if run.is_gone(context.store):
        # Somebody took the finalizer off. What was deleted since then no sweep finds, and tells the class of.
        context.placements.forget(run.identity.owner)
        context.wake_neighbours(run)
        return None
    if _is_revived(context, run) or _is_retained(run.current(context.store).endpoint):
        return 0.0
    is_believed_gone = not run.own
    if is_believed_gone and run.memory.had:
        await run.account.look(run.memory.had, run.identity)
    left = run.own
    if not left:
        context.placements.forget(run.identity.owner)
    is_made = not left and is_being_made(context, run)
    if not left and not is_made and _is_deleted(context, run):
        await collect_last(context, run)
        await _let_go(context, run)
        return None
    await _report(context, run, left, is_made=is_made)
    if not left:
        context.wake_neighbours(run)
    return AGAIN_SECONDS if left and is_believed_gone else context.retry_due(run.memory)


def _view(context: Context, run: Run) -> View:
    """What the planner sees: an object whose life was prolonged meanwhile, or that is to be retained, loses nothing."""
    stays = _is_revived(context, run) or _is_retained(run.current(context.store).endpoint)
    return View(AS_IT_IS if stays else NOTHING, run.own, run.others)


def _is_revived(context: Context, run: Run) -> bool:
    return not context.is_leaving(run.current(context.store))


def _is_retained(endpoint: EphemeralEndpoint) -> bool:
    return endpoint.spec.lifecycle.deletion_policy is DeletionPolicy.RETAIN


def _is_deleted(context: Context, run: Run) -> bool:
    return run.current(context.store).endpoint.metadata.deletion_timestamp is not None


def is_abandoned(endpoint: EphemeralEndpoint) -> bool:
    """Whether somebody has asked to let an object go that is being deleted."""
    metadata = endpoint.metadata
    return metadata.deletion_timestamp is not None and metadata.annotations.get(ABANDON_ANNOTATION) == "true"


async def abandon(context: Context, key: ObjectKey, endpoint: EphemeralEndpoint, left: Iterable[str]) -> None:
    """Somebody cannot wait: what is left carries our tags, and the sweep will find it."""
    names = ", ".join(sorted(left)) or "nothing"
    message = f"let go as the annotation {ABANDON_ANNOTATION} asks; left in AWS for the sweep: {names}"
    await context.kube.event(context.store.raw(key), kind="Warning", reason="Abandoned", message=message)
    logger.warning(message, extra={"namespace": key.namespace, "object_name": key.name})
    await _release(context, key, endpoint.metadata.uid)


async def _retain(context: Context, run: Run) -> float | None:
    """Everything stays in AWS. It is marked first: without an object the sweep would take it."""
    if not _is_told(run.subject.endpoint):
        # What an interrupted run began to make must not be missed.
        await run.account.refresh(run.account.kinds, since=context.clock())
        if not await mark(context, run, RETAINED_MARKS):
            await _report_retained(context, run, is_marked=False)
            return context.retry_due(run.memory)
    if not _is_deleted(context, run):
        await _report_retained(context, run, is_marked=True)
        return None
    tag = "=".join(RETAINED_MARKS[0])
    names = ", ".join(sorted(map(str, run.own))) or "nothing"
    message = f"stays in AWS as spec.lifecycle.deletionPolicy asks, tagged {tag}: {names}"
    await context.kube.event(context.store.raw(run.key), kind="Normal", reason=conditions.RETAINED, message=message)
    context.placements.forget(run.identity.owner)
    await _let_go(context, run)
    return None


def _is_told(endpoint: EphemeralEndpoint) -> bool:
    """Whether the status already says of this very spec that everything is marked."""
    wanted = (conditions.Type.READY, conditions.RETAINED, endpoint.metadata.generation)
    return any((each.type, each.reason, each.observed_generation) == wanted for each in endpoint.status.conditions)


async def _report_retained(context: Context, run: Run, *, is_marked: bool) -> None:
    failure = run.memory.retries.failures.get(TAGS)
    why = "the object is deleted" if _is_deleted(context, run) else _EXPIRED[1]
    verdicts = conditions.of_retained(
        why, run.own.values(), is_marked=is_marked, problem=failure.error if failure else None
    )
    endpoint = run.current(context.store).endpoint
    await context.reporter.tell(run.key, endpoint, Facts(verdicts, own=run.own, subject=run.subject))


def _is_to_be_deleted(run: Run) -> bool:
    endpoint = run.subject.endpoint
    metadata = endpoint.metadata
    is_retired = is_retired_on_expiry(endpoint.spec.lifecycle.on_expiry, metadata.labels, metadata.annotations)
    return metadata.deletion_timestamp is None and not is_retired


async def _delete(context: Context, run: Run) -> None:
    raw = context.store.raw(run.key)
    message = "the time to live is over: the object is deleted"
    await context.kube.event(raw, kind="Normal", reason="Expired", message=message)
    context.store.put(await context.kube.delete(raw))


async def _let_go(context: Context, run: Run) -> None:
    await _release(context, run.key, run.identity.uid)
    context.wake_neighbours(run)


async def _release(context: Context, key: ObjectKey, uid: str) -> None:
    left = await context.kube.release(context.store.raw(key))
    if left is None:
        context.store.remove(key, uid)
    else:
        context.store.put(left)
    context.wake(key)
    extra = {"namespace": key.namespace, "object_name": key.name, "uid": uid}
    logger.info("the object is released", extra=extra)


async def _report(context: Context, run: Run, left: Haves, *, is_made: bool) -> None:
    reason, message = _DELETED if _is_deleted(context, run) else _EXPIRED
    message = f"{message}; the build of its image is being stopped" if is_made else message
    verdicts = conditions.of_leaving(reason, message, left.values(), tuple(run.errors.values()))
    endpoint = run.current(context.store).endpoint
    await context.reporter.tell(run.key, endpoint, Facts(verdicts, own=left, subject=run.subject))
