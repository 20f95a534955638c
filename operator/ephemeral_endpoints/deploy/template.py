"""CloudFormation's YAML: intrinsic functions in their short form, and placeholders as pseudo parameters."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

_NAMES: Final = {
    "Partition": "AWS::Partition",
    "Region": "AWS::Region",
    "AccountId": "AWS::AccountId",
    # A reference to a queue yields its URL.
    "EventQueue": "EventQueue.QueueName",
}
_PLACEHOLDER: Final = re.compile(r"\$\{(\w+)\}")
_WIDTH: Final = 120


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
    return substituted(f"{json.dumps(document, indent=2)}\n")


class _Dumper(yaml.SafeDumper):
    """Writes ``Function`` in its short form, and no anchors."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the contract of PyYAML
        return True


def _represent(dumper: yaml.SafeDumper, function: Function) -> yaml.Node:
    tag, value = f"!{function.name}", function.value
    if isinstance(value, str):
        style = "|" if "\n" in value else None
        return dumper.represent_scalar(tag, value, style=style)
    return dumper.represent_sequence(tag, value, flow_style=False)


_Dumper.add_representer(Function, _represent)


def dump(template: Mapping[str, Any], comment: str) -> str:
    """The template as a file, below a comment."""
    lines = "".join(f"# {line}\n" for line in comment.splitlines())
    return lines + yaml.dump(dict(template), Dumper=_Dumper, sort_keys=False, width=_WIDTH, allow_unicode=True)
