"""What callers are told of an endpoint that does not exist because it is asleep, or that is on its way again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ephemeral_endpoints.features.routing.forwarder.invocation import NOT_IN_SERVICE, unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ephemeral_endpoints.features.routing.forwarder.messages import Problem

WAKE_SECONDS = 240
"""How long SageMaker takes to create an endpoint on instances, in most cases."""

REFRESH_SECONDS = 30
"""How soon a browser looks again."""

_KIND = "endpoint-asleep"
_WAKES = "The endpoint is asleep, and this request wakes it; or it is being created. Try again in a few minutes."
_STAYS = "The endpoint is asleep, and requests do not wake it; or it is being created. Ask its owner."


def asleep(problem: Problem, *, wakes: bool) -> Problem:
    """The Problem in place of ``problem``, which SageMaker's refusal is, if that may be for sleep.

    SageMaker does not tell an endpoint that is asleep from one that is being created.
    """
    if problem.kind != NOT_IN_SERVICE:
        return problem
    return unavailable(_KIND, _WAKES if wakes else _STAYS, retry_after=WAKE_SECONDS)


def is_browser(sent: Mapping[str, str]) -> bool:
    """Whether the caller names HTML among what it takes, as browsers do for what they show as a page."""
    return "text/html" in sent.get("accept", "").lower()


def shown(response: dict[str, Any], problem: Problem) -> dict[str, Any]:
    """The answer to a browser in place of ``response``, if the problem is that the endpoint is asleep: a small page.

    It has no words but ours. In a sandbox it would not refresh itself:
    https://html.spec.whatwg.org/multipage/semantics.html#shared-declarative-refresh-steps.
    """
    if problem.kind != _KIND:
        return response
    headers = {
        **response["headers"],
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "content-type": "text/html; charset=utf-8",
        "referrer-policy": "no-referrer",
        "vary": "accept",
    }
    return {**response, "headers": headers, "body": _PAGE.format(REFRESH_SECONDS, problem.detail)}


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="{}">
<title>The endpoint is asleep</title><h1>The endpoint is asleep</h1>
<p>{}</p><p>This page looks again by itself.</p></html>
"""
