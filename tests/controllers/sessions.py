"""The ways of operators into AWS, of which one that has ended leaves its clients to the next one.

Making them takes as long as most of what a test does with them, and they remember nothing that an operator could learn:
neither calls nor answers.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from ephemeral_endpoints.aws.clients import Clients, Role, Sessions


@dataclass
class _Way:
    """Clients with the credentials of the environment, and to whom their requests matter now."""

    connections: int
    check: Callable[[], None] = lambda: None
    note_date: Callable[[str | None], None] = lambda _: None
    by_region: dict[str, Clients] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sessions = Sessions(connections=self.connections, check=self._check, note_date=self._note_date)

    def _check(self) -> None:
        self.check()

    def _note_date(self, date: str | None) -> None:
        self.note_date(date)


_LEFT: defaultdict[int, list[_Way]] = defaultdict(list)
"""Those of operators that have ended, by their connections."""


class InheritedSessions:
    """Creates clients as ``Sessions`` does; with those that another operator has left, where no role is assumed."""

    def __init__(self, *, connections: int, check: Callable[[], None], note_date: Callable[[str | None], None]) -> None:
        self._of_roles = Sessions(connections=connections, check=check, note_date=note_date)
        left = _LEFT[connections]
        self._way = left.pop() if left else _Way(connections)
        self._way.check, self._way.note_date = check, note_date
        self._is_left = False

    def connect(self, region: str, role: Role | None = None) -> Clients:
        if role:
            return self._of_roles.connect(region, role)
        if region not in self._way.by_region:
            self._way.by_region[region] = self._way.sessions.connect(region)
        return self._way.by_region[region]

    def forget(self, clients: Clients) -> None:
        if clients.role:
            self._of_roles.forget(clients)
        else:
            self._way.by_region.pop(clients.region, None)
            self._way.sessions.forget(clients)

    def leave(self) -> None:
        """Have the next operator use them, and no two at once; to be called once this one has ended."""
        if not self._is_left:
            self._is_left = True
            _LEFT[self._way.connections].append(self._way)
