"""A covering part of all faults of the forge, on the embedded GitHub; `make chaos` injects every one of them."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from eep_platform.chaos.forge import matrix
from eep_platform.chaos.forge.fault_kinds import FaultKind
from eep_platform.chaos.forge.matrix import Recording, Result
from eep_platform.chaos.forge.points import Phase
from eep_platform.github.rest.apps import AppOperations
from eep_platform.github.rest.comments import CommentOperations
from eep_platform.github.rest.deployments import DeploymentOperations
from eep_platform.github.rest.operations import handlers_of
from eep_platform.github.rest.repositories import RepositoryOperations
from eep_platform.github.rest.statuses import StatusOperations
from ephemeral_endpoints.features.reviews.github import forge

pytestmark = pytest.mark.timeout(600)

SOURCE = Path(forge.__file__).parent
HANDLERS = (RepositoryOperations, DeploymentOperations, StatusOperations, CommentOperations, AppOperations)
OPERATIONS = [operation for operation, _ in handlers_of(*HANDLERS)]

_SEGMENTS = {
    "_at(": "/repos/[^/]+/[^/]+",
    "_of(": "/repos/[^/]+/[^/]+/issues/comments/[^/]+",
    "repository": "[^/]+/[^/]+",
    "quote(repository": "[^/]+/[^/]+",
    "key.repository": "[^/]+/[^/]+",
}
"""What the values in paths stand for; others are one segment."""


class Request(NamedTuple):
    """A request in the source: its method, None where that is not beside it, and its path as a regular expression."""

    method: str | None
    path: str


OF_TOKENS = {Request("GET", "/user"), Request(None, "/app/installations/[^/]+")}
"""Sent with a token only, or with an App whose installation a class names."""
OF_CLOSED = {Request("GET", "/repos/[^/]+/pulls/[^/]+")}
"""Sent only after a pull request was closed while the operator was away, for a status that is still pending."""


def requests() -> set[Request]:
    """The requests that the operator can send, by the paths in its source."""
    found = set()
    for module in SOURCE.glob("*.py"):
        tree = ast.parse(module.read_text())
        methods = {id(path): method for call in ast.walk(tree) for path, method in _sent(call)}
        for each in ast.walk(tree):
            path = _path(each)
            if path and not any(each in ast.walk(other) and each is not other for other in _texts(tree)):
                found.add(Request(methods.get(id(each)), path))
    return found


def operations_of(request: Request) -> set[str]:
    return {
        each.id
        for each in OPERATIONS
        if re.fullmatch(request.path, each.path) and request.method in (None, each.method)
    }


def _texts(tree: ast.AST) -> list[ast.JoinedStr]:
    return [each for each in ast.walk(tree) if isinstance(each, ast.JoinedStr)]


def _sent(call: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """The paths beside which a method is named, by a word or by the call itself."""
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return
    reads = call.func.attr in {"get", "pages"}
    first = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
    for each in call.args:
        if reads or first in {"GET", "POST", "PATCH"}:
            yield each, "GET" if reads else str(first)


def _path(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    elif isinstance(node, ast.JoinedStr):
        text = "".join(_segment(each) for each in node.values)
    else:
        return None
    path = text.partition("?")[0]
    return path if re.match("/(repos|app|user|users)(/|$)", path) and not set(path) & set(" (") else None


def _segment(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    text = ast.unparse(part.value) if isinstance(part, ast.FormattedValue) else ""
    return next((meant for beginning, meant in _SEGMENTS.items() if text.startswith(beginning)), "[^/]+")


@dataclass(frozen=True)
class Outcome:
    recording: Recording
    results: list[Result]


@pytest.fixture(scope="module")
def outcome() -> Iterator[Outcome]:
    with matrix.bench() as bench:
        recording = bench.record()
        yield Outcome(recording, bench.run(recording, matrix.covering(matrix.points_of(recording)), print))


def test_every_case_converges_and_makes_nothing_twice(outcome: Outcome) -> None:
    assert {str(result.case): result.violations for result in outcome.results if result.violations} == {}


def test_every_kind_of_fault_occurs(outcome: Outcome) -> None:
    assert {result.case.kind for result in outcome.results} == set(FaultKind)


def test_every_request_in_the_source_of_the_operator_goes_wrong_once(outcome: Outcome) -> None:
    covered = {result.case.point.operation for result in outcome.results if result.fired}
    assert covered >= {point.operation for point in matrix.points_of(outcome.recording)}
    uncovered = {each for each in requests() if not operations_of(each) & covered}
    assert uncovered == OF_TOKENS | OF_CLOSED, "send it in a phase of the lifecycle"
    assert "graphql" in covered


def test_each_phase_is_recorded(outcome: Outcome) -> None:
    assert [phase for phase in Phase if outcome.recording[phase].writes] == list(Phase)
