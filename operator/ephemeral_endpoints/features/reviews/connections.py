"""One forge for each pair of URL and Secret that classes name, and whether it can be used."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import aiohttp

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.reviews import ReviewPolicy
from ephemeral_endpoints.engine.backoff import poll_delay
from ephemeral_endpoints.engine.conditions import ConditionStatus, ConditionUpdate
from ephemeral_endpoints.features.reviews.access import Access
from ephemeral_endpoints.features.reviews.errors import ForgeDenied, ForgeError, ForgeLimited, ForgePermissionMissing
from ephemeral_endpoints.features.reviews.policy import fixed_owners, fixed_repositories
from ephemeral_endpoints.features.reviews.secret import ClassSecret
from ephemeral_endpoints.features.reviews.stage import forge_condition, remembered
from ephemeral_endpoints.features.runs import Runs
from ephemeral_endpoints.kube.cache import ObjectKey, class_key
from ephemeral_endpoints.kube.secrets import OwnSecrets

if TYPE_CHECKING:
    from ephemeral_endpoints.features.reviews.github.forge import GitHub
    from ephemeral_endpoints.features.reviews.github.limits import Budget

FINE_SECONDS: Final = 3600.0
"""Until a forge that can be used is asked again."""

FIRST_SECONDS: Final = 15.0
LONGEST_SECONDS: Final = 300.0
AGAIN_SECONDS: Final = 60.0
"""At least between two looks, however often the forge refuses what objects want."""

LACKING_SECONDS: Final = 600.0
"""For how long a permission counts as missing after a request was refused: what failed is tried again until then."""

_AT_ONCE: Final = 4

ForgeKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Connecting:
    """What a forge is reached with: see ``GitHubClient`` for all of it."""

    session: aiohttp.ClientSession
    url: str
    secret: ClassSecret
    budget: "Budget"
    check: Callable[[], None]
    denied: Callable[[ForgeDenied], None]
    count: Callable[[str, str], None]
    now: Callable[[], datetime]
    clock: Callable[[], float]


Connect = Callable[[Connecting], "GitHub"]


def connect(by: Connecting) -> "GitHub":
    """Connect to GitHub. What that needs is imported here: an operator whose classes have no forge pays nothing."""
    from ephemeral_endpoints.features.reviews.github.client import GitHubClient  # noqa: PLC0415 - see above
    from ephemeral_endpoints.features.reviews.github.forge import GitHub  # noqa: PLC0415 - likewise

    return GitHub(
        GitHubClient(
            by.session,
            by.url,
            by.secret,
            budget=by.budget,
            check=by.check,
            denied=by.denied,
            count=by.count,
            now=by.now,
            clock=by.clock,
        )
    )


@dataclass(slots=True)
class _Look:
    """What is known of a class's forge. Times are monotonic seconds; ``number`` counts the looks."""

    key: ObjectKey
    policy: ReviewPolicy
    due_at: float
    began_at: float = float("-inf")
    number: int = 0
    taken: int = 0
    failures: int = 0
    found: Access | ForgeError | None = None
    lacking: ForgePermissionMissing | None = None
    lacking_until: float = float("-inf")
    """What a request of an object was found to lack: a look writes nothing, so it may miss it."""

    @property
    def id(self) -> str:
        """Of the last look that was begun."""
        return str(self.number)


class Connections:
    """The forges of all classes. Classes with the same URL and Secret share one, and with it its limits.

    ``enqueue`` has a class reconciled. ``count`` operators use the same credentials. ``check`` is called before each
    request that changes something, ``counted`` after each request, with the URL and the Secret of the forge, and the
    kind and the outcome of the request. ``now`` is the time of day in UTC, ``clock`` monotonic seconds.
    """

    def __init__(  # noqa: PLR0913 - its edges, and two clocks
        self,
        session: aiohttp.ClientSession,
        secrets: OwnSecrets,
        *,
        enqueue: Callable[[ObjectKey], None],
        count: int,
        check: Callable[[], None],
        counted: Callable[[str, str, str, str], None],
        now: Callable[[], datetime],
        clock: Callable[[], float],
        connect: Connect = connect,
    ) -> None:
        self._session = session
        self._secrets = secrets
        self._enqueue = enqueue
        self._count = count
        self._check = check
        self._counted = counted
        self._now = now
        self._clock = clock
        self._connect_by = connect
        self._forges: dict[ForgeKey, GitHub] = {}
        self._looks: dict[str, _Look] = {}
        self._runs: Runs[Access | ForgeError] = Runs(enqueue, most=_AT_ONCE)

    def forge_of(self, endpoint_class: EphemeralEndpointClass) -> "GitHub | None":
        """The forge of a class; None if it names none. It may be one that refuses everything."""
        policy = endpoint_class.spec.reviews
        if policy is None:
            return None
        key = (policy.url, policy.secret_name)
        if key not in self._forges:
            self._forges[key] = self._connect(key)
        return self._forges[key]

    def secret_of(self, endpoint_class: EphemeralEndpointClass) -> ClassSecret | None:
        """The Secret of a class's forge; None if it names none."""
        policy = endpoint_class.spec.reviews
        return ClassSecret(self._secrets, policy.secret_name) if policy else None

    def condition(self, endpoint_class: EphemeralEndpointClass) -> ConditionUpdate | None:
        """Whether the class's forge can be used, as last found out; None if it names none.

        Begins to find out where that is due. Does not wait: the class is enqueued when more is known.
        """
        uid, policy = endpoint_class.metadata.uid, endpoint_class.spec.reviews
        forge = self.forge_of(endpoint_class)
        if policy is None or forge is None:
            self._forget(uid)
            return None
        look = self._looks.get(uid)
        if look is None or look.policy != policy:
            self._runs.cancel(uid)
            look = self._looks[uid] = _Look(class_key(endpoint_class.metadata.name), policy, self._clock())
        self._take(uid, look)
        if look.due_at <= self._clock() and not self._runs.is_running(uid):
            self._begin(uid, look, forge)
        if look.found is None:
            return remembered(endpoint_class.status.conditions)
        update = forge_condition(look.found, policy.url)
        if look.lacking and look.lacking_until > self._clock() and update.status is ConditionStatus.TRUE:
            return forge_condition(look.lacking, policy.url)
        return update

    def due_in(self, endpoint_class: EphemeralEndpointClass) -> float | None:
        """In how many seconds the class's forge is to be looked at again; None while it is, or if there is none."""
        look = self._looks.get(endpoint_class.metadata.uid)
        if look is None or self._runs.is_running(endpoint_class.metadata.uid):
            return None
        moments = [at for at in (look.due_at, look.lacking_until) if at > self._clock()]
        return min(moments, default=self._clock()) - self._clock()

    def keep_only(self, classes: Iterable[EphemeralEndpointClass]) -> None:
        """Forget the forges of all other classes."""
        policies = {each.metadata.uid: each.spec.reviews for each in classes}
        named = {uid: (policy.url, policy.secret_name) for uid, policy in policies.items() if policy is not None}
        for uid in self._looks.keys() - named.keys():
            self._forget(uid)
        keys = frozenset(named.values())
        self._forges = {key: forge for key, forge in self._forges.items() if key in keys}

    def remaining(self) -> Mapping[tuple[str, str, str, str], int]:
        """What is left of the primary limits, by URL, Secret, account and resource."""
        return {
            (*key, *limit): left
            for key, forge in self._forges.items()
            for limit, left in forge.client.remaining().items()
        }

    async def stop(self) -> None:
        """End what is under way."""
        await self._runs.stop()

    def _connect(self, key: ForgeKey) -> "GitHub":
        from ephemeral_endpoints.features.reviews.github.limits import Budget  # noqa: PLC0415 - see ``connect``

        url, secret_name = key
        return self._connect_by(
            Connecting(
                self._session,
                url,
                ClassSecret(self._secrets, secret_name),
                Budget(count=self._count),
                self._check,
                lambda error: self._denied(key, error),
                partial(self._counted, url, secret_name),
                self._now,
                self._clock,
            )
        )

    def _begin(self, uid: str, look: _Look, forge: "GitHub") -> None:
        look.number += 1
        look.began_at = self._clock()
        owners, repositories = fixed_owners(look.policy), fixed_repositories(look.policy)
        self._runs.begin(look.key, uid, look.id, lambda: _ask(forge, owners, repositories))

    def _take(self, uid: str, look: _Look) -> None:
        found = self._runs.result(uid, look.id) if look.taken < look.number else None
        if found is None:
            return
        look.taken, look.found = look.number, found
        is_fine = forge_condition(found, look.policy.url).status is ConditionStatus.TRUE
        look.failures = 0 if is_fine else look.failures + 1
        look.due_at = self._clock() + _pause(found, look.failures)

    def _denied(self, key: ForgeKey, error: ForgeDenied) -> None:
        """Look soon: the forge refuses what an object wants. Looks themselves tell by their results."""
        for uid, look in self._looks.items():
            if (look.policy.url, look.policy.secret_name) == key and not self._runs.is_running(uid):
                if isinstance(error, ForgePermissionMissing):
                    look.lacking, look.lacking_until = error, self._clock() + LACKING_SECONDS
                look.due_at = min(look.due_at, look.began_at + AGAIN_SECONDS)
                self._enqueue(look.key)

    def _forget(self, uid: str) -> None:
        self._looks.pop(uid, None)
        self._runs.cancel(uid)


async def _ask(forge: "GitHub", owners: Collection[str], repositories: Collection[str]) -> Access | ForgeError:
    try:
        return await forge.access(owners, repositories)
    except ForgeError as error:
        return error


def _pause(found: Access | ForgeError, failures: int) -> float:
    if not failures:
        return FINE_SECONDS
    pause = poll_delay(failures, first=FIRST_SECONDS, longest=LONGEST_SECONDS)
    return max(pause, found.retry_after) if isinstance(found, ForgeLimited) else pause
