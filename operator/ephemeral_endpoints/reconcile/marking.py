"""Tags that change after the creation: when the end of life moves, and when things stay although their object goes.

Lists do not show tags. What was put on is remembered, and after a restart the status tells it: an object is marked
before its status says so.
"""

import asyncio
import logging

from ephemeral_endpoints.core.errors import AwsError, NameConflict, NotFound, Unauthenticated
from ephemeral_endpoints.core.resources import Have, Phase
from ephemeral_endpoints.core.tags import Tags, living_marks
from ephemeral_endpoints.reconcile.run import TAGS, Context, Run

logger = logging.getLogger(__name__)


async def mark(context: Context, run: Run, marks: Tags) -> bool:
    """Have everything taggable that the object has in AWS carry these tags; returns whether it does.

    What failed is noted and tried again when that is due; what does not belong to the object is left as it is. Raises
    Unauthenticated, which concerns more than this object.
    """
    memory = run.memory
    if memory.marks != marks:
        memory.marks, memory.marked = marks, set()
    if TAGS in memory.retries.standing(context.clock()):
        return False
    left = [have for key, have in run.own.items() if key not in memory.marked and have.phase is not Phase.DELETING]
    errors = [error for error in await asyncio.gather(*(_mark(run, have, marks) for have in left)) if error]
    if not errors:
        memory.retries.clear(TAGS)
        return True
    for error in errors:
        if isinstance(error, Unauthenticated):
            raise error
    memory.retries.note(TAGS, errors[0], context.clock())
    extra = {"namespace": run.key.namespace, "object_name": run.key.name, "error": str(errors[0])}
    logger.warning("could not be tagged; tried again", extra=extra)
    return False


async def follow_lifetime(context: Context, run: Run) -> None:
    """Have the tags of a living object's things tell when it ends; costs calls only when that has changed."""
    memory, wanted = run.memory, run.subject.lifetime.expires_at
    if memory.expires_at is None:
        memory.expires_at = run.subject.endpoint.status.expires_at or wanted
    if memory.expires_at != wanted and await mark(context, run, living_marks(wanted)):
        memory.expires_at = wanted


async def _mark(run: Run, have: Have, marks: Tags) -> AwsError | None:
    try:
        await run.account.mark(have, marks, run.identity)
    except (NotFound, NameConflict):
        return None
    except AwsError as error:
        return error
    run.memory.marked.add(have.key)
    return None
