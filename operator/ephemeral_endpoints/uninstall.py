"""``python -m ephemeral_endpoints uninstall``: what must be settled before the operator goes.

Without the operator nobody takes anything out of AWS, and every finalizer of ours stays. So this runs first, while the
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

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException

from ephemeral_endpoints.core import conditions
from ephemeral_endpoints.kube.client import CLASSES, ENDPOINTS, exactly, listed, path_of
from ephemeral_endpoints.kube.rest import Conflict, Gone, Raw, Rest
from ephemeral_endpoints.kube.store import FINALIZER

_LOOK_SECONDS: Final = 1.0
_TOLD: Final = 5
"""So many objects are named: Kubernetes keeps 2048 bytes of what a failed container said last."""

_TOLD_LENGTH: Final = 150
_REFUSED: Final = range(400, 429)


class Policy(StrEnum):
    """What is done about objects that exist when the operator is to be uninstalled."""

    REFUSE = "Refuse"
    DELETE = "Delete"


@dataclass(frozen=True, slots=True)
class Left:
    """What still needs the operator: objects, and classes that something of theirs exists in AWS for."""

    endpoints: Sequence[Raw]
    classes: Sequence[Raw]

    def __bool__(self) -> bool:
        return bool(self.endpoints or self.classes)


class Uninstallation:
    """The settling of one installation. ``namespaces`` are those that it works in, all if there are none.

    One that works in some namespaces leaves classes alone: others may work with them too. Methods raise what ``Rest``
    raises.
    """

    def __init__(self, rest: Rest, namespaces: Sequence[str]) -> None:
        self._rest = rest
        self._namespaces = namespaces

    async def look(self) -> Left:
        """What still needs the operator. Kinds that the API server does not know any more have no objects."""
        if self._namespaces:
            folders = [f"/namespaces/{each}/{ENDPOINTS}" for each in self._namespaces]
            return Left([item for each in folders for item in await self._list(each)], [])
        classes = await self._list(f"/{CLASSES}")
        held = [each for each in classes if FINALIZER in each["metadata"].get("finalizers", [])]
        return Left(await self._list(f"/{ENDPOINTS}"), held)

    async def delete(self, left: Left) -> None:
        """Begin to delete the objects and, when there are none, the classes; what is being deleted is left to it."""
        for each in left.endpoints or left.classes:
            if "deletionTimestamp" not in each["metadata"]:
                with suppress(Gone, Conflict):  # somebody else was faster
                    await self._rest("DELETE", path_of(each), exactly(each))

    async def _list(self, folder: str) -> list[Raw]:
        with suppress(Gone):
            return [item async for item in listed(self._rest, folder)]
        return []


async def settle(work: Uninstallation, policy: Policy, *, timeout_seconds: float, say: Callable[[str], None]) -> bool:
    """Settle an installation by a policy; returns whether the operator may go, having said why if not.

    Blocks until nothing is left, or for the timeout; an API server that fails meanwhile is asked again. Raises what
    ``Rest`` raises if it fails at once, or refuses.
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
    say("nothing in AWS needs the operator any more")
    return True


async def _step(work: Uninstallation, left: Left) -> Left:
    try:
        await work.delete(left)
        await asyncio.sleep(_LOOK_SECONDS)
        return await work.look()
    except ApiException as error:
        if (error.status or 0) in _REFUSED:
            raise
    except (aiohttp.ClientError, TimeoutError):
        pass
    await asyncio.sleep(_LOOK_SECONDS)
    return left


def refusal(left: Left) -> str:
    """Why the operator must not go yet, and what to do. Pure."""
    return "\n".join(
        [
            f"The operator must not go yet: {_counted(left)} would stay in AWS, and their finalizers for ever.",
            *(f"  {_name(each)}" for each in _first(left)),
            "Do one of these, and uninstall again:",
            *_deletions(left),
            "- for what is to stay in AWS set spec.lifecycle.deletionPolicy: Retain before you delete it",
            "- have everything deleted: helm rollback to the revision that runs (helm history tells it), because this",
            "  refusal has left it half uninstalled, then helm upgrade --reuse-values --set uninstall.policy=Delete",
        ]
    )


def delay(left: Left, seconds: float) -> str:
    """What stands in the way of what is being deleted. Pure."""
    return "\n".join(
        [
            f"After {seconds:g} s there are still {_counted(left)}:",
            *(f"  {_name(each)}: {_hindrance(each)}" for each in _first(left)),
            "See to what stands in the way (is the operator running?), and uninstall again; what is deleted stays so.",
        ]
    )


def _deletions(left: Left) -> list[str]:
    commands = []
    if left.endpoints:
        commands.append(f"- kubectl delete {ENDPOINTS} --all --all-namespaces (or one by one)")
    if left.classes:
        names = " ".join(each["metadata"]["name"] for each in left.classes[:_TOLD])
        commands.append(
            f"- {'then ' if left.endpoints else ''}kubectl delete {CLASSES} {names}, with its images in ECR"
        )
    return commands


def _counted(left: Left) -> str:
    figures = ((len(left.endpoints), "EphemeralEndpoint", "s"), (len(left.classes), "EphemeralEndpointClass", "es"))
    return " and ".join(f"{count} {kind}{plural if count != 1 else ''}" for count, kind, plural in figures if count)


def _first(left: Left) -> Iterable[Raw]:
    return [*left.endpoints, *left.classes][:_TOLD]


def _name(raw: Raw) -> str:
    metadata = raw["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if "namespace" in metadata else f"class {metadata['name']}"


def _hindrance(raw: Raw) -> str:
    if "deletionTimestamp" not in raw["metadata"]:
        return "goes after the objects" if "namespace" not in raw["metadata"] else "is not being deleted"
    told: list[dict[str, Any]] = raw.get("status", {}).get("conditions", [])
    ready = next((each for each in told if each["type"] == conditions.Type.READY), None)
    return f"{ready['reason']}: {ready['message']}"[:_TOLD_LENGTH] if ready else "the operator has not said anything"


def main(arguments: Sequence[str], load_config: Callable[[], Awaitable[None]]) -> int:
    """Settle the installation that the arguments tell of; returns the exit code: 0 if the operator may go.

    ``load_config`` finds the API server. Ends the process with 2 for arguments that it does not know.
    """
    asked = _parser().parse_args(arguments)
    return asyncio.run(_settled(asked, load_config))


async def _settled(asked: argparse.Namespace, load_config: Callable[[], Awaitable[None]]) -> int:
    await load_config()
    async with ApiClient() as api:
        work = Uninstallation(Rest(api), asked.namespaces)
        try:
            done = await settle(work, asked.policy, timeout_seconds=asked.timeout, say=_say)
        except (ApiException, aiohttp.ClientError, TimeoutError) as error:
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            _say(f"The API server does not answer as it should: {reason}")
            return 1
        return 0 if done else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ephemeral-endpoints uninstall", description=__doc__)
    parser.add_argument("--policy", type=Policy, choices=list(Policy), default=Policy.REFUSE)
    parser.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS", help="how long deletions may take")
    parser.add_argument(
        "--namespaces", type=_names, default=(), metavar="A,B", help="those that the operator works in; default: all"
    )
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - what a person reads, not what a machine collects
