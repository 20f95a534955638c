"""``python -m ephemeral_endpoints uninstall``: prepares the removal of an installation.

Without the operator nothing is deleted from AWS, and every finalizer of ours stays. So this runs first, while the
operator still works: it refuses the uninstallation as long as there is something, or has everything deleted and waits.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from kubernetes.aio.client import ApiClient

from ephemeral_endpoints.api.kinds import BY_NAME, ENDPOINT_CLASS, KINDS, ObjectKind
from ephemeral_endpoints.engine import conditions
from ephemeral_endpoints.kube.cache import FINALIZER, ObjectKey
from ephemeral_endpoints.kube.client import exactly, listed
from ephemeral_endpoints.kube.errors import Conflict, Gone, KubernetesError, Unavailable
from ephemeral_endpoints.kube.rest import Raw, Rest

_LOOK_SECONDS: Final = 1.0
_SHOWN: Final = 5
"""So many objects are named: Kubernetes keeps the last 2048 bytes of a failed container's output."""

_LENGTH: Final = 150
_TAKEN_ALONG: Final = {ENDPOINT_CLASS: ", which deletes its images in ECR"}


class Policy(StrEnum):
    """The treatment of objects that exist when the operator is to be uninstalled."""

    REFUSE = "Refuse"
    DELETE = "Delete"


@dataclass(frozen=True, slots=True)
class Left:
    """Objects that still need the operator, in the order of their deletion."""

    objects: Sequence[Raw]

    def __bool__(self) -> bool:
        return bool(self.objects)

    def by_kind(self) -> dict[ObjectKind, list[Raw]]:
        """The objects of each kind of which there are any; they are deleted kind by kind."""
        found = {kind: [each for each in self.objects if each["kind"] == kind.name] for kind in KINDS}
        return {kind: objects for kind, objects in found.items() if objects}


class Uninstallation:
    """The removal of one installation. ``namespaces`` are those that it works in, all if there are none.

    One that works in some namespaces does not touch cluster-scoped objects: other installations may use them.
    Methods raise what ``Rest`` raises.
    """

    def __init__(self, rest: Rest, namespaces: Sequence[str]) -> None:
        self._rest = rest
        self._namespaces = namespaces

    async def look(self) -> Left:
        """Objects that still need the operator: all namespaced ones, and cluster-scoped ones with our finalizer.

        Kinds that the API server does not know any more have no objects.
        """
        kinds = [kind for kind in KINDS if kind.is_namespaced or not self._namespaces]
        folders = [(kind, folder) for kind in kinds for folder in kind.folders(self._namespaces)]
        found = [(kind, each) for kind, folder in folders for each in await self._list(folder)]
        return Left([each for kind, each in found if kind.is_namespaced or _is_held(each)])

    async def delete(self, left: Left) -> None:
        """Begin to delete the objects of the first kind that has any; those being deleted already are skipped."""
        for each in next(iter(left.by_kind().values()), []):
            if "deletionTimestamp" not in each["metadata"]:
                with suppress(Gone, Conflict):  # another client was faster
                    await self._rest("DELETE", ObjectKey.of(each).api_path, exactly(each))

    async def _list(self, folder: str) -> list[Raw]:
        with suppress(Gone):
            return [item async for item in listed(self._rest, folder)]
        return []


def _is_held(raw: Raw) -> bool:
    return FINALIZER in raw["metadata"].get("finalizers", [])


async def prepare(work: Uninstallation, policy: Policy, *, timeout_seconds: float, say: Callable[[str], None]) -> bool:
    """Apply a policy to an installation; returns whether the operator may be removed, and says why if not.

    Blocks until nothing is left, or for the timeout; requests to an API server that fails meanwhile are retried. Raises
    what ``Rest`` raises if it fails at once, or refuses.
    """
    left = await work.look()
    if policy is Policy.REFUSE and left:
        say(refusal(left))
        return False
    try:
        async with asyncio.timeout(timeout_seconds):
            while left:
                left = await _step(work, left)
    except TimeoutError:
        say(delay(left, timeout_seconds))
        return False
    say("No EphemeralEndpoint or EphemeralEndpointClass needs the operator any more.")
    return True


async def _step(work: Uninstallation, left: Left) -> Left:
    with suppress(Unavailable):
        await work.delete(left)
        await asyncio.sleep(_LOOK_SECONDS)
        return await work.look()
    await asyncio.sleep(_LOOK_SECONDS)
    return left


def refusal(left: Left) -> str:
    """Why the operator must not be removed yet, and the remedies. Pure."""
    return "\n".join(
        [
            f"The operator is still needed for {_counted(left)}: without it, AWS resources and finalizers would stay.",
            *(f"  {ObjectKey.of(each)}" for each in _first(left)),
            "Do one of the following, then uninstall again:",
            *_deletions(left),
            "- to keep AWS resources, set spec.lifecycle.deletionPolicy: Retain before you delete the object",
            "- to delete everything: run helm rollback to the last deployed revision, because this failure left the",
            "  release half uninstalled, then helm upgrade --reuse-values --set uninstall.policy=Delete",
        ]
    )


def delay(left: Left, seconds: float) -> str:
    """The obstacles to the deletion of the remaining objects. Pure."""
    return "\n".join(
        [
            f"After {seconds:g} s, the cluster still has {_counted(left)}:",
            *(f"  {ObjectKey.of(each)}: {_hindrance(each)}" for each in _first(left)),
            "Fix the errors above (check that the operator is running), then uninstall again.",
        ]
    )


def _deletions(left: Left) -> list[str]:
    commands = [_deletion(kind, objects) for kind, objects in left.by_kind().items()]
    return [f"- {'then ' if number else ''}{command}" for number, command in enumerate(commands)]


def _deletion(kind: ObjectKind, objects: Sequence[Raw]) -> str:
    if kind.is_namespaced:
        return f"kubectl delete {kind.plural} --all --all-namespaces (or one by one)"
    names = " ".join(each["metadata"]["name"] for each in objects[:_SHOWN])
    return f"kubectl delete {kind.plural} {names}{_TAKEN_ALONG.get(kind, '')}"


def _counted(left: Left) -> str:
    figures = ((len(objects), kind.name) for kind, objects in left.by_kind().items())
    return " and ".join(f"{count} {name if count == 1 else _plural(name)}" for count, name in figures)


def _plural(name: str) -> str:
    return f"{name}es" if name.endswith("s") else f"{name}s"


def _first(left: Left) -> Iterable[Raw]:
    return left.objects[:_SHOWN]


def _hindrance(raw: Raw) -> str:
    if "deletionTimestamp" not in raw["metadata"]:
        return "is not being deleted" if BY_NAME[raw["kind"]].is_namespaced else "waits for its objects"
    reported: list[dict[str, Any]] = raw.get("status", {}).get("conditions", [])
    ready = next((each for each in reported if each["type"] == conditions.ConditionType.READY), None)
    return f"{ready['reason']}: {ready['message']}"[:_LENGTH] if ready else "the operator has not reported a status"


def main(arguments: Sequence[str], load_config: Callable[[], Awaitable[None]]) -> int:
    """Prepare the removal of an installation; returns the exit code: 0 if the operator may be removed.

    ``load_config`` finds the API server. Ends the process with 2 for arguments that it does not know.
    """
    options = _parser().parse_args(arguments)
    return asyncio.run(_prepare(options, load_config))


async def _prepare(options: argparse.Namespace, load_config: Callable[[], Awaitable[None]]) -> int:
    await load_config()
    async with ApiClient() as api:
        work = Uninstallation(Rest(api), options.namespaces)
        try:
            done = await prepare(work, options.policy, timeout_seconds=options.timeout, say=_say)
        except KubernetesError as error:
            _say(f"The API server did not answer as expected: {error}")
            return 1
        return 0 if done else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ephemeral-endpoints uninstall", description=__doc__)
    parser.add_argument("--policy", type=Policy, choices=list(Policy), default=Policy.REFUSE)
    parser.add_argument(
        "--timeout", type=float, default=600.0, metavar="SECONDS", help="how long the deletions may take"
    )
    parser.add_argument(
        "--namespaces",
        type=_names,
        default=(),
        metavar="A,B",
        help="the namespaces that the operator watches; default: all",
    )
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - output for people, not a log
