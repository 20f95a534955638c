"""Checks as objects have them."""

from typing import Any

from ephemeral_endpoints.api.v1alpha1.checks import Check, Expectation


def check(name: str = "greeting", body: str = "{}", **expect: Any) -> Check:  # noqa: ANN401 - members of an expectation
    """A check with a request of its own."""
    return Check.model_validate({"name": name, "request": {"body": body}, "expect": expect})


def expectation(**expect: Any) -> Expectation:  # noqa: ANN401 - likewise
    return Expectation.model_validate(expect)
