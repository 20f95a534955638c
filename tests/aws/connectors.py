"""Ways to an embedded account for tests."""

from dataclasses import dataclass, field

from eep_platform.aws import ministack
from ephemeral_endpoints.aws.clients import Access, Clients, Role

HOME = Access(ministack.ACCOUNT, ministack.REGION)
"""The embedded account, with the operator's own credentials."""


@dataclass
class Same:
    """Hands out the same clients every time, and counts."""

    clients: Clients
    connected: list[tuple[str, Role | None]] = field(default_factory=list)
    forgotten: int = 0

    def connect(self, region: str, role: Role | None) -> Clients:
        self.connected.append((region, role))
        return self.clients

    def forget(self, clients: Clients) -> None:
        assert clients is self.clients
        self.forgotten += 1
