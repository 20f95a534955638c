"""The dead man's switch: it decides by its own rules, from the tags in the account alone."""

from contextlib import suppress

from eep_platform.bench.month.agenda import moment
from eep_platform.bench.month.story import Trouble
from eep_platform.bench.month.world import CLUSTER_ID, World
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.resources import IN_FLIGHT, ObservedResource
from ephemeral_endpoints.engine.tags import EXPIRES_AT, UID
from ephemeral_endpoints.features.expiry.reaper.policy import Expired, Rules, choose, expired, is_of_object, past
from ephemeral_endpoints.features.routing.specs import INTEGRATION, ROUTE
from ephemeral_endpoints.features.serving.specs import ENDPOINT

SECONDS = 900.0
"""The rule's rate."""

RULES = Rules(CLUSTER_ID, "default")


def run(world: World) -> None:
    """One run. Nothing is deleted where a call fails; the next run goes on."""
    if world.has(Trouble.AWS):
        return
    now = moment(world.agenda.now)
    cutoff = now - RULES.grace
    ends = frozenset(past((tags.get(EXPIRES_AT, "") for _, tags in world.account.tagged()), cutoff))
    if not ends:
        return
    index = [each for each in world.account.tagged() if each[0].key.kind.taggable]
    uids = {tags.get(UID) for _, tags in index if tags.get(EXPIRES_AT) in ends}
    due = expired({each.arn: tags for each, tags in index if tags.get(UID) in uids}, cutoff)
    choice = choose(due, len(world.account.list_all(ENDPOINT)), RULES, now)
    if choice.held:
        world.log.reaper_held_at.append(world.agenda.now)
    for each in choice.free[: RULES.most]:
        _take(world, each)


def _take(world: World, due: Expired) -> None:
    there = world.account.of(due.owner)
    with suppress(ReconcileError):
        for each in sorted(there.values(), key=_order):
            tags = world.account.tags(each)
            if each.phase not in IN_FLIGHT and (
                tags is None or is_of_object(each.key.name.rpartition("/")[2], tags, RULES, due.uid)
            ):
                world.delete(each, "reaper")


def _order(observed: ObservedResource) -> int:
    """What uses others goes first."""
    return {ROUTE: 0, INTEGRATION: 1}.get(observed.key.kind, 2)
