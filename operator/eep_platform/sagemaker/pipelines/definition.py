"""Pipeline definitions, version 2020-12-01: parsed and checked as CreatePipeline does; pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from eep_platform.sagemaker.pipelines import arguments, conditions, documents
from eep_platform.sagemaker.pipelines.caching import expiry
from eep_platform.sagemaker.pipelines.errors import unparsable
from eep_platform.sagemaker.pipelines.expressions import (
    EXECUTION_VARIABLES,
    PropertyFile,
    Reference,
    is_expression,
    references,
)
from eep_platform.sagemaker.pipelines.parameters import Parameter, parameters_of
from eep_platform.sagemaker.pipelines.retries import RetryPolicy, policies_of

CONDITION, FAIL = "Condition", "Fail"
_VERSION: Final = "2020-12-01"
_TYPES: Final = frozenset({*arguments.CALLS, CONDITION, FAIL})
_NAME: Final = re.compile(r"[A-Za-z0-9\-_]{1,64}", re.ASCII)
_MEMBERS: Final = frozenset({"Version", "Metadata", "Parameters", "PipelineExperimentConfig", "MlflowConfig", "Steps"})
_STEP_MEMBERS: Final = frozenset(
    {
        *("Name", "Type", "Arguments", "DependsOn", "DisplayName", "Description"),
        *("CacheConfig", "RetryPolicies", "PropertyFiles"),
    }
)
_BRANCHES: Final = (("IfSteps", True), ("ElseSteps", False))


@dataclass(frozen=True, slots=True)
class Branch:
    """Where a step is that only runs if a condition has an outcome."""

    condition: str
    outcome: bool


@dataclass(frozen=True, slots=True)
class FileOfOutput:
    """A property file: a file below an output of a processing job."""

    output: str
    path: str


@dataclass(frozen=True, slots=True)
class Step:
    """A step; `arguments` still has its expressions, and `needs` is what it waits for."""

    name: str
    type: str
    arguments: Mapping[str, Any]
    display_name: str | None
    description: str | None
    needs: frozenset[str]
    branch: Branch | None
    cached_for: timedelta | None
    retries: tuple[RetryPolicy, ...]
    files: Mapping[str, FileOfOutput]


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition whose references all lead somewhere; `steps` has those of branches too."""

    text: str
    parameters: Mapping[str, Parameter]
    steps: Mapping[str, Step]
    experiment: Mapping[str, Any] | None


def parse(text: str) -> Definition:
    """Parse a definition; raises the service's `ValidationException` for anything that it would not run."""
    try:
        return _parsed(_body(text), text)
    except RecursionError as error:
        raise unparsable("It is nested too deeply.") from error


def _parsed(body: Mapping[str, Any], text: str) -> Definition:
    parameters = parameters_of(body.get("Parameters"))
    found = list(_steps(body.get("Steps"), None))
    steps = {step.name: step for step in found}
    if len(steps) < len(found):
        raise unparsable("Step names must be unique, also within the branches of conditions.")
    if not steps:
        raise unparsable("A pipeline needs at least one step.")
    definition = Definition(text, parameters, steps, _experiment(body.get("PipelineExperimentConfig")))
    for step in found:
        _refuse_references(step, definition)
        _refuse_arguments(step, definition)
    _refuse_cycles(steps)
    for named in references(definition.experiment):
        _type_of(named, definition)
    return definition


def _body(text: str) -> Mapping[str, Any]:
    try:
        body = documents.read(text)
    except ValueError as error:
        raise unparsable(f"It is not JSON: {error}") from error
    if not isinstance(body, Mapping):
        raise unparsable("Expecting start of Json Object.")
    if unknown := sorted(set(body) - _MEMBERS):
        raise unparsable(f"Unknown member '{unknown[0]}'.")
    if body.get("Version") != _VERSION:
        raise unparsable(f"Version must be {_VERSION}.")
    return body


def _experiment(given: object) -> Mapping[str, Any] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise unparsable("Expecting start of Json Object.")
    for member, value in given.items():
        if member not in {"ExperimentName", "TrialName"} or not (is_expression(value) or isinstance(value, str)):
            raise unparsable("ExperimentName and TrialName of PipelineExperimentConfig must be strings or expressions.")
    return given


def _steps(given: object, branch: Branch | None) -> Iterator[Step]:
    if not isinstance(given, list):
        raise unparsable("Expecting start of Json Array.")
    for each in given:
        if not isinstance(each, Mapping):
            raise unparsable("Expecting start of Json Object.")
        step = _step(each, branch)
        if step.type == CONDITION and branch is not None:
            raise unparsable(f"Condition step {step.name} cannot be in a branch of another one.")
        yield step
        for member, outcome in _BRANCHES if step.type == CONDITION else ():
            yield from _steps(step.arguments.get(member, []), Branch(step.name, outcome))


def _step(given: Mapping[str, Any], branch: Branch | None) -> Step:
    if unknown := sorted(set(given) - _STEP_MEMBERS):
        raise unparsable(f"Unknown Step member '{unknown[0]}'.")
    name, type_ = _step_name(given.get("Name")), given.get("Type")
    if type_ not in _TYPES:
        raise unparsable(f"The embedded platform runs no steps of type {type_}: step {name} needs AWS.")
    step_arguments = given.get("Arguments")
    if not isinstance(step_arguments, Mapping):
        raise unparsable("Expecting start of Json Object.")
    needed = {named.name for named in references(_without_branches(step_arguments)) if named.root == "Steps"}
    return Step(
        name=name,
        type=type_,
        arguments=step_arguments,
        display_name=given.get("DisplayName"),
        description=given.get("Description"),
        needs=frozenset({*needed, *_names(given.get("DependsOn")), *([branch.condition] if branch else [])}),
        branch=branch,
        cached_for=expiry(given.get("CacheConfig"), type_),
        retries=policies_of(given.get("RetryPolicies"), type_),
        files=_files(given.get("PropertyFiles"), type_),
    )


def _step_name(given: object) -> str:
    if not isinstance(given, str) or not _NAME.fullmatch(given):
        raise unparsable(f"Step name {given!r} must match {_NAME.pattern}.")
    return given


def _names(given: object) -> Sequence[str]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise unparsable("Expecting start of Json Array.")
    return [_step_name(each) for each in given]


def _files(given: object, step_type: str) -> Mapping[str, FileOfOutput]:
    if given is None:
        return {}
    if step_type != "Processing":
        raise unparsable(f"A step of type {step_type} has no PropertyFiles.")
    if not isinstance(given, list):
        raise unparsable("Expecting start of Json Array.")
    files: dict[str, FileOfOutput] = {}
    for each in given:
        members = {"PropertyFileName", "OutputName", "FilePath"}
        if not isinstance(each, Mapping) or set(each) != members or not all(isinstance(v, str) for v in each.values()):
            raise unparsable("A property file has PropertyFileName, OutputName and FilePath.")
        files[each["PropertyFileName"]] = FileOfOutput(each["OutputName"], each["FilePath"])
    if len(files) < len(given):
        raise unparsable("The names of property files of a step must be unique.")
    return files


def _refuse_references(step: Step, definition: Definition) -> None:
    for name in sorted(step.needs):
        if name == step.name:
            raise unparsable(f"{name} can not depends on itself.")
        if name not in definition.steps:
            raise unparsable(f"Step {step.name} depends on step {name}, which does not exist.")
        if definition.steps[name].type == FAIL:
            raise unparsable(f"{step.name} can not depends on {name}.")
    for named in references(own_arguments(step)):
        _type_of(named, definition)


def _refuse_arguments(step: Step, definition: Definition) -> None:
    if step.type == CONDITION:
        if unknown := sorted(set(step.arguments) - {"Conditions", *dict(_BRANCHES)}):
            raise unparsable(f"Unknown Argument member '{unknown[0]}'.")
        conditions.refuse_conditions(step.arguments.get("Conditions"))
    elif step.type == FAIL:
        if unknown := sorted(set(step.arguments) - {"ErrorMessage"}):
            raise unparsable(f"Unknown Argument member '{unknown[0]}'.")
        message = step.arguments.get("ErrorMessage", "")
        if not is_expression(message) and not isinstance(message, str):
            raise unparsable(f"ErrorMessage of step {step.name} must be a string or an expression.")
    else:
        arguments.refuse_arguments(step.type, step.arguments, lambda named: _type_of(named, definition))
    outputs = (step.arguments.get("ProcessingOutputConfig") or {}).get("Outputs", []) if step.files else []
    for name, file in step.files.items():
        if not any(output["OutputName"] == file.output for output in outputs):
            raise unparsable(f"Property file {name} of step {step.name} is in an output that the step does not have.")


def _type_of(named: Reference, definition: Definition) -> str:
    """The type of what a reference names; raises the service's error if it names nothing."""
    if named.root == "Parameters":
        if named.name not in definition.parameters:
            raise unparsable(f"Parameter {named.name} is not defined.")
        return definition.parameters[named.name].type.shape
    if named.root == "Execution":
        if named.name not in EXECUTION_VARIABLES:
            raise unparsable(f"Invalid property reference '{named.text}'.")
        return "string"
    step = definition.steps.get(named.name)
    if step is None:
        raise unparsable(f"Step {named.name} does not exist.")
    if named.property_file is None:
        return arguments.property_type(step.type, named)
    if named.property_file.name not in step.files:
        raise unparsable(f"Step {step.name} has no property file {named.property_file.name}.")
    return "string"


def _refuse_cycles(steps: Mapping[str, Step]) -> None:
    left = {name: set(step.needs) for name, step in steps.items()}
    while free := [name for name, needs in left.items() if not needs & set(left)]:
        for name in free:
            del left[name]
    if left:
        raise unparsable(f"There is a cycle in the dependencies of steps {', '.join(sorted(left))}.")


def own_arguments(step: Step) -> Mapping[str, Any]:
    """The arguments of a step without the steps of its branches."""
    return _without_branches(step.arguments)


def files_needed(step: Step) -> frozenset[PropertyFile]:
    """The property files that a step's expressions read."""
    named = (each.property_file for each in references(own_arguments(step)))
    return frozenset(file for file in named if file is not None)


def _without_branches(step_arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in step_arguments.items() if key not in dict(_BRANCHES)}
