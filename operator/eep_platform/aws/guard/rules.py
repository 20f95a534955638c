"""The language of the rules: an action, the resources that a call's input names, and the condition keys of the call."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eep_platform.aws.inputs.rules import Parameters, tags_of
from eep_platform.emulation.account import Account

ConditionKeys = Mapping[str, str | list[str]]
"""Condition keys of IAM and their values."""


@dataclass(frozen=True, slots=True)
class CallScope(Account):
    """The account and region of a call, and the lookups that authorizing it takes."""

    config_of: Callable[[str], str] = lambda _: ""
    """The endpoint configuration of an endpoint."""
    volume_key_of: Callable[[str], str] = lambda _: ""
    """The ARN of the KMS key for the volumes of an endpoint configuration; empty if it names none."""
    target_arn: Callable[[str], str] = lambda _: ""
    """The ARN of a scalable target by its resource ID; empty if there is none."""
    role_arn: Callable[[str], str | None] = lambda _: None
    """The ARN of a role by its name; None if there is none."""


@dataclass(frozen=True, slots=True)
class RequiredAction:
    """An action that must be allowed on a resource, with the condition keys of the call itself."""

    action: str
    resource: str
    keys: ConditionKeys = field(default_factory=dict)


Resources = Callable[[Parameters, CallScope], Iterable[str]]
KeysOf = Callable[[Parameters], ConditionKeys]


def no_keys(_: Parameters) -> ConditionKeys:
    """No condition keys."""
    return {}


def _always(_: Parameters) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Rule:
    """An action that an operation requires, ``when`` its input has a certain form."""

    action: str
    resources: Resources
    keys: KeysOf = no_keys
    when: Callable[[Parameters], bool] = _always


Operations = Mapping[tuple[str, str], tuple[Rule, ...]]
"""Rules by botocore's names of service and operation."""


def tagging(parameters: Parameters) -> ConditionKeys:
    """The condition keys of the tags in an operation's input."""
    tags = tags_of(parameters)
    return {
        **{f"aws:RequestTag/{key}": value for key, value in tags.items()},
        **({"aws:TagKeys": [*tags]} if tags else {}),
    }


def tagging_new(action: str, resources: Resources, keys: KeysOf = tagging) -> Rule:
    """Tagging what an operation creates, if its input has tags."""
    return Rule(action, resources, keys, lambda parameters: bool(tags_of(parameters)))


def with_keys(keys_of: KeysOf, **more: str | list[str]) -> KeysOf:
    """The same condition keys and more; ``__`` in a name stands for a colon."""
    return lambda parameters: {**keys_of(parameters), **{key.replace("__", ":"): each for key, each in more.items()}}


def any_resource(_: Parameters, __: CallScope) -> Iterable[str]:
    """All resources: of actions that IAM restricts to none."""
    return ("*",)


def at(service: str, kind: str, member: str) -> Resources:
    """The resource that a member names, or the resources if it is a list."""

    def resources(parameters: Parameters, scope: CallScope) -> Iterable[str]:
        given = parameters.get(member, ())
        return (scope.arn(service, f"{kind}{name}") for name in ([given] if isinstance(given, str) else given))

    return resources


def fixed(service: str, resource: str) -> Resources:
    """One resource of the account and region."""
    return lambda _, scope: (scope.arn(service, resource),)


def named_by(member: str) -> Resources:
    """The resource whose ARN a member is."""
    return lambda parameters, _: (parameters[member],)


def named(service: str, resources: Resources, *operations: str, keys: KeysOf = no_keys) -> dict[Any, Any]:
    """Operations that require only the action of their own name."""
    return {(service, operation): (Rule(f"{service}:{operation}", resources, keys),) for operation in operations}


def passing(member: str, service: str) -> Rule:
    """Passing the role that a member names, if it does, to a service."""
    keys = {"iam:PassedToService": f"{service}.amazonaws.com"}
    return Rule("iam:PassRole", named_by(member), lambda _: keys, lambda parameters: member in parameters)


def creating(  # noqa: PLR0913 - what services name differently
    service: str,
    operation: str,
    resources: Resources,
    *beside: Rule,
    tag: str = "TagResource",
    keys: KeysOf = tagging,
    tag_keys: KeysOf = tagging,
) -> dict[Any, Any]:
    """An operation that creates what may have tags, for which it then requires the action ``tag``."""
    rules = (Rule(f"{service}:{operation}", resources, keys), tagging_new(f"{service}:{tag}", resources, tag_keys))
    return {(service, operation): (*rules, *beside)}
