import ast
import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import ephemeral_endpoints
from ephemeral_endpoints.aws.sagemaker import PHASES
from ephemeral_endpoints.core import conditions
from ephemeral_endpoints.core.errors import Problem
from ephemeral_endpoints.core.images import ImageProblem
from ephemeral_endpoints.core.reasons import CATALOGUE, Concern, Passes, Place, Told
from ephemeral_endpoints.core.resources import IN_FLIGHT, Phase

PACKAGE = Path(ephemeral_endpoints.__file__).parent
TELLING = [PACKAGE / "core/conditions.py", PACKAGE / "core/failures.py", *sorted((PACKAGE / "reconcile").glob("*.py"))]
"""Where the reasons of conditions and Events are spelled, beside the errors and the problems of images."""

NO_REASONS: Final = frozenset({"Warning", "Normal", "True", "Run", "Authorization"})
"""Words of the same look that are something else: types of Events, a status, a part of a type, a header."""

CAMEL_CASE = re.compile(r"[A-Z][A-Za-z]*[a-z][A-Za-z]*")


def problems(kind: type[Problem] = Problem) -> Iterator[type[Problem]]:
    for each in kind.__subclasses__():
        yield each
        yield from problems(each)


def errors() -> list[type[Problem]]:
    """What can go wrong in the operator, wherever it is declared."""
    for part in ("core", "aws", "kube", "reconcile"):
        for module in pkgutil.iter_modules([str(PACKAGE / part)], f"ephemeral_endpoints.{part}."):
            importlib.import_module(module.name)
    return [each for each in problems() if each.__module__.startswith("ephemeral_endpoints.") and _is_raised(each)]


def _is_raised(error: type[Problem]) -> bool:
    """The stems of the tree are never raised themselves."""
    return error.__name__ != "AwsError"


def words(path: Path) -> Iterator[str]:
    """Every string in CamelCase but those of enumerations, documentation, and the reasons of errors."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    skipped = {id(part) for each in classes for node in each.body if not _is_method(node) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield from [node.value] if CAMEL_CASE.fullmatch(node.value) else []


def _is_method(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def told_by_code() -> set[str]:
    states = {state for state, phase in PHASES.items() if phase in IN_FLIGHT or phase is Phase.IMPAIRED}
    spelled = {word for path in TELLING for word in words(path)} - NO_REASONS
    return {each.reason for each in errors()} | {each.value for each in ImageProblem} | states | spelled


def test_the_code_tells_no_reason_that_the_catalogue_lacks() -> None:
    assert told_by_code() - {each.reason for each in CATALOGUE} == set()


def test_the_catalogue_has_no_reason_that_no_code_tells() -> None:
    assert {each.reason for each in CATALOGUE} - told_by_code() == set()


def test_nobody_else_tells_conditions_or_events() -> None:
    tells = re.compile(r"kube\.event\(|\bVerdict\(|\bCondition\(")
    others = {path for path in PACKAGE.glob("[!l]*/**/*.py") if tells.search(path.read_text(encoding="utf-8"))}
    others |= {path for path in PACKAGE.glob("*.py") if tells.search(path.read_text(encoding="utf-8"))}
    makers = {PACKAGE / "core/status.py", PACKAGE / "api/base.py"}
    assert others - makers <= set(TELLING), "add to TELLING, and its reasons to the catalogue"


def test_each_reason_is_there_once() -> None:
    assert [reason for reason, times in Counter(each.reason for each in CATALOGUE).items() if times > 1] == []


def test_stems_of_the_tree_of_errors_are_never_raised() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.glob("[!l]*/**/*.py"))
    assert re.findall(r"raise (?:errors\.)?AwsError\(", sources) == []


BY_REASON = {each.reason: each for each in CATALOGUE}


@pytest.mark.parametrize("error", errors(), ids=lambda error: error.__name__)
def test_only_what_is_final_does_not_pass_by_itself(error: type[Problem]) -> None:
    assert (BY_REASON[error.reason].passes is Passes.NO) == error.final


@pytest.mark.parametrize("problem", ImageProblem)
def test_the_problems_of_images_are_told_of_images_and_pass_unless_they_are_final(problem: ImageProblem) -> None:
    told = BY_REASON[problem.value]
    assert told.places == (Place.IMAGE,)
    assert (told.passes is Passes.NO) == problem.is_final


@pytest.mark.parametrize("told", CATALOGUE, ids=lambda told: told.reason)
def test_each_reason_is_explained_in_sentences_and_says_what_to_do(told: Told) -> None:
    assert re.fullmatch(r"[A-Z`].*\.", told.means)
    assert told.remedy
    assert not told.remedy.endswith(".")
    assert "|" not in told.means + told.remedy, "which would end the cell of the table"
    assert (told.passes is Passes.GOOD) == (told.remedy == "nothing")
    assert told.concern is Concern.NOBODY or told.remedy != "wait"


def test_places_are_the_conditions_that_there_are() -> None:
    types = {type_ for place in Place for type_ in place.value.split(", ")}
    assert {each.value for each in conditions.Type} <= types
