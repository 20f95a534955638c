"""CloudFormation's YAML: intrinsic functions in their short form, and placeholders as pseudo parameters."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

FORMAT: Final = "2010-09-09"
"""The version of the format of templates."""

_NAMES: Final = {
    "Partition": "AWS::Partition",
    "Region": "AWS::Region",
    "AccountId": "AWS::AccountId",
    # A reference to a queue yields its URL.
    "EventQueue": "EventQueue.QueueName",
    # A parameter of the stack of a class.
    "ClassQueue": "EventQueue",
}
_PLACEHOLDER: Final = re.compile(r"\$\{(\w+)\}")
_WIDTH: Final = 120
_SHORT: Final = 4


@dataclass(frozen=True)
class Function:
    """An intrinsic function; ``name`` without the exclamation mark."""

    name: str
    value: Any


def ref(name: str) -> Function:
    """The value of a parameter, or the reference to a resource."""
    return Function("Ref", name)


def arn_of(name: str) -> Function:
    """The ARN of a resource."""
    return Function("GetAtt", f"{name}.Arn")


def condition(name: str, then: Any, otherwise: Any = None) -> Function:  # noqa: ANN401 - any part of a template
    """One of two values by a condition; by default the second one is none."""
    return Function("If", [name, then, ref("AWS::NoValue") if otherwise is None else otherwise])


def substituted(value: Any) -> Any:  # noqa: ANN401 - any part of a template
    """The same, with every ``${Name}`` in a value substituted by CloudFormation."""
    if isinstance(value, str):
        text = _PLACEHOLDER.sub(lambda match: f"${{{_NAMES.get(match[1], match[1])}}}", value)
        if text == value and not _PLACEHOLDER.search(value):
            return value
        only = re.fullmatch(r"\$\{([\w:]+)\}", text)
        return ref(only[1]) if only else Function("Sub", text)
    if isinstance(value, Mapping):
        return {key: substituted(each) for key, each in value.items()}
    return [substituted(each) for each in value] if isinstance(value, list) else value


def as_text(document: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any part of a template
    """A JSON document as text, for placeholders in keys, where CloudFormation substitutes only text."""
    return substituted(f"{json.dumps(document)}\n")


class _Dumper(yaml.SafeDumper):
    """Writes ``Function`` in its short form, and no anchors."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - the contract of PyYAML
        super().__init__(*arguments, **named)
        # Text in many lines is indented on each. PyYAML takes no less than 2 by its argument.
        self.best_indent = 1

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the contract of PyYAML
        return True


def _represent(dumper: yaml.SafeDumper, function: Function) -> yaml.Node:
    tag, value = f"!{function.name}", function.value
    if isinstance(value, str):
        style = "|" if "\n" in value else None
        return dumper.represent_scalar(tag, value, style=style)
    return dumper.represent_sequence(tag, value, flow_style=_is_short(value))


def _represent_list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=_is_short(items))


def _represent_mapping(dumper: yaml.SafeDumper, items: dict[str, Any]) -> yaml.Node:
    is_short = len(items) <= _SHORT and _is_short(list(items.values()))
    return dumper.represent_mapping("tag:yaml.org,2002:map", items, flow_style=is_short)


def _is_short(items: list[Any]) -> bool:
    """Whether these are written in one line: CloudFormation takes 51,200 bytes at most that are in no bucket."""
    values = [each.value if isinstance(each, Function) else each for each in items]
    return all(_is_short(each) if isinstance(each, list) else _is_line(each) for each in values)


def _is_line(value: object) -> bool:
    return isinstance(value, str) and "\n" not in value


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(Function, _represent)
_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(dict, _represent_mapping)


def dump(template: Mapping[str, Any], comment: str) -> str:
    """The template as a file, below a comment. Compact: CloudFormation takes 51,200 bytes of a template by value."""
    lines = "".join(f"# {line}\n" for line in comment.splitlines())
    return lines + yaml.dump(
        dict(template), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=_WIDTH, allow_unicode=True
    )


def parameter(text: str, default: str | None = None, **more: object) -> dict[str, Any]:
    """A parameter that is a string."""
    return {"Type": "String", "Description": text, **({} if default is None else {"Default": default}), **more}


def role(trusted: object) -> dict[str, Any]:
    """A role of that trust, with the permissions boundary of the stack."""
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": trusted,
            "PermissionsBoundary": condition("HasBoundary", ref("PermissionsBoundary")),
        },
    }


def given(name: str) -> Function:
    """Whether a parameter is not empty."""
    return Function("Not", [equal(name, "")])


def equal(name: str, value: str) -> Function:
    """Whether a parameter has a value."""
    return Function("Equals", [ref(name), value])


def logical(name: str, *, inline: bool = False) -> str:
    """The name of a policy in a template. CloudFormation changes no resource's type: it differs by the type."""
    return "".join(part.capitalize() for part in name.split("-")) + ("RolePolicy" if inline else "Policy")
