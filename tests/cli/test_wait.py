import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import pytest
import yaml
from tests.cli.conditions import condition, ready, stalled, working
from tests.engine.objects import ENDPOINT, merged
from tests.fixtures.command import eep
from tests.fixtures.connection import Connection
from tests.fixtures.kubernetes import SPEC, Cluster
from tests.fixtures.waiting import TIMEOUT_SECONDS

from eep_platform.controlplane import ControlPlane
from ephemeral_endpoints.cli.connection import Target
from ephemeral_endpoints.cli.progress import Goal, Outcome, Verdict
from ephemeral_endpoints.cli.wait import Seen, Waiting

URL = "https://a1b2c3.execute-api.us-east-1.amazonaws.com/nlp/pr-42"
BUILDING = condition("ImageReady", "False", "Building", "step 2 of 5")
PINNED = condition("ImageReady", "True", "Pinned", "pinned")


@pytest.fixture
def target(cluster: Cluster, control_plane: ControlPlane) -> Target:
    return Target(str(control_plane.kubeconfig), namespace=cluster.namespace)


def wait(control_plane: ControlPlane, cluster: Cluster, *arguments: str) -> tuple[int, str, str]:
    result = eep("wait", "pr-42", "-n", cluster.namespace, *arguments, KUBECONFIG=str(control_plane.kubeconfig))
    return result.exit_code, result.stdout, result.stderr


class Noted(Waiting):
    """Records what is printed."""

    def __init__(self, goal: Goal | None = None) -> None:
        super().__init__("pr-42", goal or Goal())
        self.lines: list[str] = []
        self._changed = asyncio.Event()

    def note(self, text: str) -> None:
        self.lines.append(text)
        self._changed.set()

    async def noted(self, text: str) -> None:
        """Wait until a line with this text was printed."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not any(text in line for line in self.lines):
                await self._changed.wait()
                self._changed.clear()


@asynccontextmanager
async def running(waiting: Waiting, target: Target) -> AsyncIterator["asyncio.Task[Verdict]"]:
    task = asyncio.create_task(waiting.run(target, TIMEOUT_SECONDS))
    try:
        yield task
    finally:
        task.cancel()


async def test_an_object_that_does_not_exist_yet_is_followed_until_it_serves(cluster: Cluster, target: Target) -> None:
    waiting = Noted()
    async with running(waiting, target) as task:
        await waiting.noted("the object does not exist yet")
        await asyncio.to_thread(cluster.create)
        await waiting.noted("the operator has not seen this version of the object yet")
        for status in (working(BUILDING), working(PINNED), working(PINNED), ready(PINNED, url=URL)):
            await asyncio.to_thread(cluster.patch_status, status)
        assert (await task).outcome is Outcome.DONE
    assert waiting.url == URL
    printed = [" ".join(click.unstyle(line).split()) for line in waiting.lines]
    assert printed[-3:] == ["ImageReady Building: step 2 of 5", "ImageReady Pinned: pinned", "Creating: waiting"]


async def test_the_version_before_is_not_taken_for_the_newest(cluster: Cluster, target: Target) -> None:
    await asyncio.to_thread(cluster.create)
    await asyncio.to_thread(cluster.patch_status, ready())
    await asyncio.to_thread(cluster.patch, {"spec": {"source": {"revision": "aaaaaaa"}}})
    waiting = Noted(Goal(revision="aaaaaaa"))
    async with running(waiting, target) as task:
        await waiting.noted("the operator has not seen this version of the object yet")
        await asyncio.to_thread(cluster.patch_status, ready(generation=2, revision="aaaaaaa"))
        assert (await task).outcome is Outcome.DONE


async def test_it_survives_that_the_connection_ends(
    cluster: Cluster, control_plane: ControlPlane, tmp_path: Path
) -> None:
    kubeconfig = yaml.safe_load(control_plane.kubeconfig.read_text())
    line = Connection(kubeconfig["clusters"][0]["cluster"]["server"])
    kubeconfig["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{await line.open()}"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    waiting = Noted()
    target = Target(str(tmp_path / "kubeconfig"), namespace=cluster.namespace)
    async with running(waiting, target) as task:
        await waiting.noted("the object does not exist yet")
        line.interrupt()
        await asyncio.to_thread(cluster.create)
        await waiting.noted("the operator has not seen this version")
        line.interrupt()
        await asyncio.to_thread(cluster.patch_status, ready())
        assert (await task).outcome is Outcome.DONE
    line.cut()


async def test_an_object_that_is_deleted_is_not_awaited_any_more(cluster: Cluster, target: Target) -> None:
    await asyncio.to_thread(cluster.create)
    waiting = Noted()
    async with running(waiting, target) as task:
        await waiting.noted("the operator has not seen this version")
        await asyncio.to_thread(cluster.delete)
        assert await task == Verdict(Outcome.FAILED, "the object was deleted")


def test_another_object_of_the_same_name_is_not_the_one_that_was_awaited() -> None:
    waiting = Noted()
    assert waiting.take(Seen(ENDPOINT)).outcome is Outcome.PENDING
    other = waiting.take(Seen(merged(ENDPOINT, {"metadata": {"uid": "another"}, "status": ready()})))
    assert other == Verdict(Outcome.FAILED, "the object was deleted, and another one has its name")


def test_credentials_that_are_refused_end_it_at_once(
    cluster: Cluster, control_plane: ControlPlane, tmp_path: Path
) -> None:
    kubeconfig = yaml.safe_load(control_plane.kubeconfig.read_text())
    kubeconfig["users"][0]["user"] = {"token": "expired"}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    result = eep("wait", "pr-42", "-n", cluster.namespace, KUBECONFIG=str(tmp_path / "kubeconfig"))
    assert result.exit_code == 1
    assert "the cluster refuses the credentials of the kubeconfig" in result.stderr


def test_an_object_that_serves_ends_it_with_its_url(cluster: Cluster, control_plane: ControlPlane) -> None:
    cluster.create()
    cluster.patch_status(ready(PINNED, url=URL))
    code, out, err = wait(control_plane, cluster, "--revision", SPEC["source"]["revision"])
    assert (code, out) == (0, f"{URL}\n")
    assert err.endswith("pr-42 is Ready\n")


def test_an_object_that_stalls_ends_it_at_once_with_the_message(cluster: Cluster, control_plane: ControlPlane) -> None:
    cluster.create()
    cluster.patch_status(stalled("BuildFailed", "RUN failed:\x1b[2J no such file"))
    code, out, err = wait(control_plane, cluster)
    assert (code, out) == (1, "")
    assert "pr-42 is not Ready: BuildFailed: RUN failed: [2J no such file" in err.splitlines()[-1]


def test_when_the_time_is_over_it_says_what_is_missing(cluster: Cluster, control_plane: ControlPlane) -> None:
    cluster.create()
    cluster.patch_status(working(BUILDING))
    code, out, err = wait(control_plane, cluster, "--timeout", "6s")
    assert (code, out) == (2, "")
    assert err.splitlines()[-2:] == ["pr-42 is not Ready after 6s", "Building: step 2 of 5"]
