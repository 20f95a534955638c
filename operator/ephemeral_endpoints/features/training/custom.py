"""Definitions that people write: parsed, and refused with what to do. Pure; the text may come from anybody.

What is refused here would be refused by SageMaker later, or be done with the role of the class: a role or an instance
type that the class does not allow.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from ephemeral_endpoints.api.v1alpha1.training import TrainingPolicy
from ephemeral_endpoints.features.training.definition import VERSION, canonical, references
from ephemeral_endpoints.features.training.reasons import DefinitionInvalid
from ephemeral_endpoints.features.training.specs import Definition

LONGEST: Final = 1_048_576
"""In bytes: the most that CreatePipeline takes."""

MOST_STEPS: Final = 50
TYPES: Final = ("Processing", "Training", "Condition", "Fail", "RegisterModel")
_BRANCHES: Final = ("IfSteps", "ElseSteps")
_DEEPEST: Final = 50

Json = Mapping[str, Any]


def parsed(text: str, policy: TrainingPolicy) -> Definition:
    """The definition in a text. Raises DefinitionInvalid."""
    if len(text.encode()) > LONGEST:
        raise DefinitionInvalid(f"it is longer than {LONGEST} bytes")
    document = _document(text)
    steps = [*_steps(document.get("Steps"), 0)]
    if not steps or len(steps) > MOST_STEPS:
        raise DefinitionInvalid(f"it must have 1 to {MOST_STEPS} steps")
    _check_names(steps)
    _check_order(steps)
    for name, value in _members(document.get("Steps"), 0):
        _check_member(name, value, policy)
    return Definition(canonical(document), frozenset(_parameters(document)))


def _document(text: str) -> Json:
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DefinitionInvalid(f"it is no JSON: {str(error)[:200]}") from error
    if not isinstance(document, Mapping) or document.get("Version") != VERSION:
        raise DefinitionInvalid(f"it must be an object whose Version is {VERSION}")
    return document


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _steps(found: object, depth: int) -> Iterator[Json]:
    """All steps, with those of the branches of conditions."""
    if depth > 1:
        raise DefinitionInvalid("a condition must not be in a branch of another one")
    if not isinstance(found, list):
        raise DefinitionInvalid("Steps, IfSteps and ElseSteps must be lists")
    for each in found:
        arguments = each.get("Arguments") if isinstance(each, Mapping) else None
        if not isinstance(arguments, Mapping) or not isinstance(each.get("Name"), str):
            raise DefinitionInvalid("each step must have a Name, a Type and Arguments")
        if each.get("Type") not in TYPES:
            raise DefinitionInvalid(f"the Type of step {each['Name'][:64]} must be one of {', '.join(TYPES)}")
        yield each
        if each["Type"] == "Condition":
            for branch in _BRANCHES:
                yield from _steps(arguments.get(branch, []), depth + 1)


def _check_names(steps: list[Json]) -> None:
    twice = [name for name, count in Counter(each["Name"] for each in steps).items() if count > 1]
    if twice:
        raise DefinitionInvalid(f"several steps have the name {twice[0][:64]}")


def _check_order(steps: list[Json]) -> None:
    names = {each["Name"] for each in steps}
    needs = {each["Name"]: set(_needs(each)) for each in steps}
    for name, needed in needs.items():
        if unknown := needed - names:
            raise DefinitionInvalid(f"step {name[:64]} needs {min(unknown)[:64]}, which is no step")
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        raise DefinitionInvalid(
            f"its steps need one another in a circle: {' <- '.join(error.args[1])[:500]}"
        ) from error


def _needs(step: Json) -> Iterator[str]:
    """The steps that must have ended before. Steps in the branches of a condition need it, not it them."""
    depends = step.get("DependsOn", [])
    yield from (each for each in depends if isinstance(each, str))
    arguments = step["Arguments"]
    own = {name: value for name, value in arguments.items() if name not in _BRANCHES}
    for each in references([own, step.get("PropertyFiles")]):
        if each.startswith("Steps."):
            yield each.split(".")[1]
    if step["Type"] == "Condition":
        inside = [each["Name"] for branch in _BRANCHES for each in arguments.get(branch, [])]
        if step["Name"] in inside:
            yield step["Name"]


def _members(value: object, depth: int) -> Iterator[tuple[str, object]]:
    """All members of all objects within a value."""
    if depth > _DEEPEST:
        raise DefinitionInvalid(f"it is nested more than {_DEEPEST} deep")
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield name, each
            yield from _members(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            yield from _members(each, depth + 1)


def _check_member(name: str, value: object, policy: TrainingPolicy) -> None:
    if name == "RoleArn" and value not in ({"Get": "Parameters.RoleArn"}, policy.execution_role_arn):
        raise DefinitionInvalid(f'each RoleArn must be {{"Get":"Parameters.RoleArn"}} or {policy.execution_role_arn}')
    if name == "InstanceType" and value != {"Get": "Parameters.InstanceType"}:
        patterns = policy.instance_types
        if not (isinstance(value, str) and any(fnmatchcase(value, pattern) for pattern in patterns)):
            raise DefinitionInvalid(
                f'each InstanceType must be {{"Get":"Parameters.InstanceType"}} or one of {", ".join(patterns)}'
            )
    is_count = type(value) is int and 1 <= value <= policy.max_count
    if name == "InstanceCount" and not is_count and value != {"Get": "Parameters.InstanceCount"}:
        raise DefinitionInvalid(
            f'each InstanceCount must be {{"Get":"Parameters.InstanceCount"}} or 1 to {policy.max_count}'
        )
    if name == "InstanceGroups":
        raise DefinitionInvalid("InstanceGroups must not be set: use InstanceType and InstanceCount")


def _parameters(document: Json) -> Iterator[str]:
    declared = document.get("Parameters", [])
    if not isinstance(declared, list):
        raise DefinitionInvalid("Parameters must be a list")
    for each in declared:
        if not isinstance(each, Mapping) or not isinstance(each.get("Name"), str):
            raise DefinitionInvalid("each parameter must have a Name and a Type")
        yield each["Name"]
