"""What people are told who give commands by comments, and what Events say of it."""

from collections.abc import Iterator

from tests.features.reviews.commands.test_orders import COMMENT, DELETE, NOON, REBUILD, REFUSED, extend, subject

from ephemeral_endpoints.features.reviews.commands.execution import REFUSED_BY_CLUSTER
from ephemeral_endpoints.features.reviews.commands.handling import NO_RIGHTS
from ephemeral_endpoints.features.reviews.commands.orders import NotDone, Order, order
from ephemeral_endpoints.features.reviews.commands.parser import WORD, Misspelt, parse
from ephemeral_endpoints.features.reviews.commands.reasons import COMMANDED

_MISSPELT = ("", " snooze", " delete now", " rebuild now", " extend", " extend soon", " extend 0s", "\u00a0delete")


def told() -> Iterator[tuple[str, str]]:
    """The replies, then the Events."""
    for words in _MISSPELT:
        found = parse(f"{WORD}{words}")
        assert isinstance(found, Misspelt)
        yield f"reply to {WORD}{words!r}", found.why
    yield "reply", NO_RIGHTS
    yield "reply", REFUSED_BY_CLUSTER
    for row in REFUSED:
        command, found, _ = row.values
        refused = order(command, COMMENT, found, NOON)
        assert isinstance(refused, NotDone)
        yield f"reply to {command.name}", refused.why
    for command in (extend(100), REBUILD, DELETE):
        done = order(command, COMMENT, subject(), NOON)
        assert isinstance(done, Order)
        yield f"Normal {COMMANDED}", done.event
