"""Which of its class's APIs an object is in: the one that has its integration, else one that has room."""

from collections import Counter
from collections.abc import Mapping

from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.core.apis import INTEGRATIONS_PER_API, api_number, api_with_room, loads
from ephemeral_endpoints.core.resources import Haves, IntegrationSpec, Key, Kind
from ephemeral_endpoints.core.sharding import WHOLE, Shard


class Placements:
    """Remembers where objects were placed until their integration shows it: many at once must not overfill an API."""

    def __init__(self, cluster_id: str, *, shard: Shard = WHOLE, limit: int = INTEGRATIONS_PER_API) -> None:
        self._cluster_id = cluster_id
        self._shard = shard
        self._limit = limit
        self._placed: dict[str, Key] = {}

    def place(self, owner: str, base: str, klass: EphemeralEndpointClass, haves: Haves) -> Key:
        """The API of the object whose things are named ``base``; the same one as long as the integration exists."""
        integration = haves.get(Key(Kind.INTEGRATION, base))
        if integration and isinstance(integration.spec, IntegrationSpec):
            self._placed[owner] = integration.spec.api
        elif owner not in self._placed or not self._shard.has(api_number(self._placed[owner])):
            self._placed[owner] = api_with_room(
                self._cluster_id, klass, self._loads(haves), shard=self._shard, limit=self._limit
            )
        return self._placed[owner]

    def forget(self, owner: str) -> None:
        """The object needs no place any more."""
        self._placed.pop(owner, None)

    def of(self, owners: frozenset[str]) -> tuple[frozenset[Key], bool]:
        """The APIs in which these objects are placed, and whether all of them are: after a start they are not yet."""
        return frozenset(self._placed[owner] for owner in owners & self._placed.keys()), owners <= self._placed.keys()

    def _loads(self, haves: Haves) -> Mapping[Key, int]:
        integrated = {have.owner for have in haves.values() if isinstance(have.spec, IntegrationSpec)}
        waiting = Counter(key for owner, key in self._placed.items() if owner not in integrated)
        return loads(haves.values()) + waiting
