"""An object on its way out: everything in AWS goes, is seen to be gone, and only then the finalizer does."""

import logging
from typing import Final

from ephemeral_endpoints.api import ABANDON_ANNOTATION
from ephemeral_endpoints.core import conditions
from ephemeral_endpoints.core.desired import NOTHING
from ephemeral_endpoints.core.lifecycle import is_retired_on_expiry
from ephemeral_endpoints.core.resources import Haves
from ephemeral_endpoints.reconcile.act import View
from ephemeral_endpoints.reconcile.report import Facts
from ephemeral_endpoints.reconcile.run import Context, Run

logger = logging.getLogger(__name__)

_DELETED: Final = ("Deleting", "everything in AWS is being deleted")
_EXPIRED: Final = ("Expired", "the time to live is over")


async def leave(context: Context, run: Run) -> float | None:
    """Reconcile an object that is deleted or expired; returns in how many seconds it is due again."""
    if _is_to_be_deleted(run):
        await _delete(context, run)
    if _is_abandoned(context, run):
        await _abandon(context, run)
        return None
    await run.act(lambda: View(NOTHING, run.own, run.others), context.clock)
    if not run.own and run.memory.had:
        await run.account.confirm_gone(run.memory.had, run.identity, since=run.memory.last_step_at)
    left = run.own
    if not left:
        context.placements.forget(run.identity.owner)
    if not left and _is_deleted(context, run):
        await _release(context, run)
        return None
    await _report(context, run, left)
    if not left:
        context.wake_neighbours(run)
    return context.retry_due(run.memory)


def _is_deleted(context: Context, run: Run) -> bool:
    return run.current(context.store).endpoint.metadata.deletion_timestamp is not None


def _is_abandoned(context: Context, run: Run) -> bool:
    metadata = run.current(context.store).endpoint.metadata
    return metadata.deletion_timestamp is not None and metadata.annotations.get(ABANDON_ANNOTATION) == "true"


async def _abandon(context: Context, run: Run) -> None:
    """Somebody cannot wait: what is left carries our tags, and the sweep will find it."""
    left = ", ".join(sorted(map(str, run.own))) or "nothing"
    message = f"let go as the annotation {ABANDON_ANNOTATION} asks; left in AWS for the sweep: {left}"
    await context.kube.event(context.store.raw(run.key), kind="Warning", reason="Abandoned", message=message)
    logger.warning(message, extra={"namespace": run.key.namespace, "object_name": run.key.name})
    await _release(context, run)


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


async def _release(context: Context, run: Run) -> None:
    left = await context.kube.release(context.store.raw(run.key))
    if left is None:
        context.store.remove(run.key, run.identity.uid)
    else:
        context.store.put(left)
    context.wake_neighbours(run)
    context.wake(run.key)
    extra = {"namespace": run.key.namespace, "object_name": run.key.name, "uid": run.identity.uid}
    logger.info("the object is released", extra=extra)


async def _report(context: Context, run: Run, left: Haves) -> None:
    reason, message = _DELETED if _is_deleted(context, run) else _EXPIRED
    verdicts = conditions.of_leaving(reason, message, left.values(), tuple(run.errors.values()))
    endpoint = run.current(context.store).endpoint
    await context.reporter.tell(run.key, endpoint, Facts(verdicts, own=left, subject=run.subject))
