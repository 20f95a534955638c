import gc
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

LONGEST: Final = (
    "eep_platform/chaos/test_convergence.py",
    "model/test_image.py",
    "installation/test_story.py",
    "integration/test_at_rest.py",
    "test_tutorial.py",
    "e2e/test_story.py",
    "e2e/test_lifetime.py",
    "e2e/test_training.py",
    "image/test_operator_image.py",
    "eep_platform/bench/test_run.py",
    "eep_platform/bench/test_building.py",
    "eep_platform/sagemaker/sdk/test_sdk.py",
)
"""Files that take most of a minute or more."""

COLLECTED: Final = (10_000, 10, 10)
"""Allocations between collections of garbage: each environment of a test makes tens of thousands of objects."""

# How long something takes says nothing of it on a machine that does much else.
settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")

# Whatever engine a machine has would pull base images from the Internet.
os.environ["EEP_BUILD_ENGINE"] = "engineless"
# Hundreds of processes are started: without bytecode each of them compiles everything anew, for a second or two.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

pytest_plugins = [
    "tests.fixtures.browser",
    "tests.fixtures.containers",
    "tests.fixtures.controlplane",
    "tests.fixtures.disk",
    "tests.fixtures.gateway",
    "tests.fixtures.github",
    "tests.fixtures.issuer",
    "tests.fixtures.platform",
    "tests.fixtures.operator",
    "tests.fixtures.sdk",
    "tests.fixtures.tools",
    "tests.fixtures.aws",
    "tests.fixtures.kubernetes",
    "tests.fixtures.sagemaker_jobs",
    "tests.fixtures.controllers",
    "tests.fixtures.faults",
]


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Ignore finalizers that fail for want of stack: garbage may be collected while a test parses what is too deep."""
    reported = sys.unraisablehook

    def report(unraisable: "sys.UnraisableHookArgs") -> None:
        if unraisable.exc_type is not RecursionError:
            reported(unraisable)

    sys.unraisablehook = report


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Take what is collected for no garbage: each full collection would look through all tests and modules again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(*COLLECTED)
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: the last ones must not leave the other workers without work."""
    place = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST)}
    assert all(path.exists() for path in place)
    items.sort(key=lambda item: place.get(item.path, len(place)))
