"""`eep iam`: the IAM policies of every role, with the values of an account."""

import argparse
import json
import re
import sys
from collections.abc import Mapping

from ephemeral_endpoints.iam import policies
from ephemeral_endpoints.iam.policies import PARAMETERS, POLICIES
from ephemeral_endpoints.iam.statement import placeholders

_DONE, _FAILED = 0, 1
_OPTIONS = {"AccountId": "account"}

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse gives the type of add_subparsers() no public name


def add_to(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add the command and its actions to a parser."""
    iam = commands.add_parser("iam", help="print the IAM policies that the roles need", description=__doc__)
    actions = iam.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="tell which policies there are, and for whom")
    listing.set_defaults(run=_list)
    policy = actions.add_parser(
        "policy",
        help="print a policy, or all of the operator or of a workflow (ci) in one document",
        description="Print a policy as JSON, or all of the operator or of a workflow (ci) in one document.",
    )
    policy.add_argument("name", metavar="NAME", help="a name of `eep iam list`, operator or ci")
    for name, each in PARAMETERS.items():
        default = "" if each.default is None else f" (default: {each.default})"
        policy.add_argument(f"--{_option(name)}", dest=name, metavar="VALUE", help=f"{each.purpose}{default}")
    policy.set_defaults(run=_policy)


def _list(_: argparse.Namespace) -> int:
    for each in POLICIES:
        optional = f" (not needed where {each.optional})" if each.optional else ""
        sys.stdout.write(f"{each.name:22}{each.principal:11}{each.purpose}{optional}\n")
    return _DONE


def _policy(options: argparse.Namespace) -> int:
    found = policies.named(options.name)
    if not found:
        return _refuse(f"there is no policy {options.name!r}: see `eep iam list`")
    given = {name: value for name in PARAMETERS if (value := getattr(options, name)) is not None}
    missing = frozenset().union(*(placeholders(each.template()) for each in found)) - _known(given)
    if missing:
        return _refuse(f"{options.name} needs {', '.join(f'--{_option(name)}' for name in sorted(missing))}")
    document = policies.merged(found, given)
    sys.stdout.write(f"{json.dumps(document, indent=2)}\n")
    if policies.size(document) > policies.MANAGED_LIMIT:
        sys.stderr.write(
            f"note: IAM takes {policies.MANAGED_LIMIT} characters as a managed policy, these are "
            f"{policies.size(document)}: make one of each of {', '.join(each.name for each in found)}\n"
        )
    return _DONE


def _known(given: Mapping[str, str]) -> frozenset[str]:
    return frozenset(policies.with_defaults(given))


def _option(name: str) -> str:
    return _OPTIONS.get(name) or re.sub("(?<=[a-z])(?=[A-Z])", "-", name).lower()


def _refuse(message: str) -> int:
    sys.stderr.write(f"error: {message}\n")
    return _FAILED
