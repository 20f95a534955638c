"""The program that compares the JSON Schemas of two revisions, in a process of its own: see ``contract.sides``.

A request is ``{"base": [request, response], "head": [request, response]}`` with schemas as text, null where there are
none. An answer is ``{"breaks": [text, ...], "unclear": [text, ...]}``.
"""

import json
from collections.abc import Iterable
from typing import Any

from ephemeral_endpoints.features.checks.contract.breaking import Change, Difference, narrowed
from ephemeral_endpoints.features.worker_process import serve


def answer(request: dict[str, Any]) -> dict[str, list[str]]:
    """The answer to a request. Where one of the two has no schema, nothing is compared."""
    (base_request, base_response), (head_request, head_response) = (
        [each and json.loads(each) for each in request[side]] for side in ("base", "head")
    )
    both = Difference(), Difference()
    if None not in (base_request, head_request):
        both = narrowed(base_request, head_request), both[1]
    if None not in (base_response, head_response):
        # The other way round: what the head answers has to be what the base promised.
        both = both[0], narrowed(head_response, base_response)
    return {
        "breaks": [*_told("requestSchema", both[0].breaks), *_told("responseSchema", both[1].breaks)],
        "unclear": [*_told("requestSchema", both[0].unclear), *_told("responseSchema", both[1].unclear)],
    }


def _told(field: str, changes: Iterable[Change]) -> list[str]:
    of_base = "" if field == "requestSchema" else ", by what the base promised"
    return [f"{field} {each.pointer or '/'}: {each.message}{of_base}" for each in changes]


def main() -> None:
    """Serve until stdin ends."""
    serve(answer)


if __name__ == "__main__":
    main()
