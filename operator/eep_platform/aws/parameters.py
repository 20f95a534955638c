"""What SSM's Parameter Store refuses, and ministack takes.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html, API_DescribeParameters.html and
API_AddTagsToResource.html.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Answer = tuple[int, dict[str, str], bytes]
Handle = Callable[[dict[str, Any]], Answer]

MOST: Final = 10_000
"""Standard parameters of an account and region."""

MOST_BYTES: Final = 4096
"""The value of a standard parameter; that of an advanced one has twice as many."""

_MOST_LEVELS: Final = 15
_MOST_PER_PAGE: Final = 50
_MOST_IN_DESCRIPTION: Final = 1024
_MOST_IN_NAME: Final = 1011
_STANDARD: Final = "Standard"
_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]+|(/[a-zA-Z0-9_.-]+)+")
_OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "Name": frozenset({"BeginsWith", "Contains", "Equals"}),
    "Path": frozenset({"OneLevel", "Recursive"}),
}


@dataclass(frozen=True, slots=True)
class Refusals:
    """Refusals of an account with ``parameters``; ``refuse`` makes an error of its code and message."""

    parameters: Mapping[str, Mapping[str, Any]]
    refuse: Callable[[str, str], Answer]

    def of_puts(self, handle: Handle) -> Handle:
        """Handle PutParameter."""
        return self._before(handle, self._refused_put)

    def of_lists(self, handle: Handle) -> Handle:
        """Handle DescribeParameters."""
        return self._before(handle, _refused_list)

    def of_tags(self, handle: Handle) -> Handle:
        """Handle the requests about tags."""
        return self._before(handle, self._refused_tagging)

    def _before(self, handle: Handle, refused: Callable[[Mapping[str, Any]], tuple[str, str] | None]) -> Handle:
        def handle_unless_refused(data: dict[str, Any]) -> Answer:
            found = refused(data)
            return self.refuse(*found) if found else handle(data)

        return handle_unless_refused

    def _refused_put(self, data: Mapping[str, Any]) -> tuple[str, str] | None:
        before = self.parameters.get(data.get("Name", ""))
        if before is None and len(self.parameters) >= MOST:
            return "ParameterLimitExceeded", "You have exceeded the number of parameters for this AWS account."
        return _refused_text(data) or (_refused_change(data, before) if before else None) or _refused_size(data, before)

    def _refused_tagging(self, data: Mapping[str, Any]) -> tuple[str, str] | None:
        if data.get("ResourceType") != "Parameter":
            return "InvalidResourceType", "The resource type isn't valid."
        if data.get("ResourceId") not in self.parameters:
            return "InvalidResourceId", "The resource ID isn't valid. Verify that you entered the correct ID."
        return None


def _refused_text(data: Mapping[str, Any]) -> tuple[str, str] | None:
    name = str(data.get("Name", ""))
    if not _NAME.fullmatch(name) or len(name) > _MOST_IN_NAME:
        return _invalid("Parameter name: must be a fully qualified name of letters, numbers and .-_")
    if name.count("/") > _MOST_LEVELS:
        return "HierarchyLevelLimitExceededException", f"A hierarchy can have a maximum of {_MOST_LEVELS} levels."
    if not data.get("Value") or len(str(data.get("Description", ""))) > _MOST_IN_DESCRIPTION:
        return _invalid("1 validation error detected: a value is empty, or a description too long")
    return None


def _refused_change(data: Mapping[str, Any], before: Mapping[str, Any]) -> tuple[str, str] | None:
    if data.get("Type", before["Type"]) != before["Type"]:
        return "HierarchyTypeMismatchException", "The type of a parameter cannot be changed."
    if before["Tier"] != _STANDARD and data.get("Tier") == _STANDARD:
        return _invalid("This parameter uses the advanced-parameter tier. You can't downgrade a parameter.")
    return None


def _refused_size(data: Mapping[str, Any], before: Mapping[str, Any] | None) -> tuple[str, str] | None:
    tier = data.get("Tier") or (before["Tier"] if before else _STANDARD)
    if tier == _STANDARD and len(str(data["Value"]).encode()) > MOST_BYTES:
        return _invalid(f"Standard tier parameters support a maximum parameter value of {MOST_BYTES} characters.")
    return None


def _refused_list(data: Mapping[str, Any]) -> tuple[str, str] | None:
    if not 1 <= data.get("MaxResults", 1) <= _MOST_PER_PAGE:
        return _invalid(f"MaxResults must be within 1 and {_MOST_PER_PAGE}.")
    for each in data.get("ParameterFilters", ()):
        key, option = each.get("Key", ""), each.get("Option", "Equals")
        if option not in _OPTIONS.get(key, {"BeginsWith", "Equals"}):
            return "InvalidFilterOption", f"The option {option} isn't valid for the filter {key}."
    return None


def _invalid(message: str) -> tuple[str, str]:
    return "ValidationException", message
