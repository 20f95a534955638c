"""Pages of lists, and the links between them. Source: https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api."""

from collections.abc import Callable
from typing import Final, TypeVar

from yarl import URL

from eep_platform.github.rest.operations import Answer, Call, Json

_DEFAULT_PAGE: Final = 30
_MOST_PER_PAGE: Final = 100
Item = TypeVar("Item")


def paged(call: Call, items: list[Item], show: Callable[[Item], Json]) -> Answer:
    """The page of a list that a request asks for."""
    size = _natural(call.query.get("per_page"), _DEFAULT_PAGE, _MOST_PER_PAGE)
    page = _natural(call.query.get("page"), 1, None)
    pages = max(1, -(-len(items) // size))
    return Answer([show(item) for item in items[(page - 1) * size : page * size]], page=page, pages=pages)


def _natural(text: str | None, default: int, most: int | None) -> int:
    value = int(text) if text and text.isdecimal() and int(text) > 0 else default
    return value if most is None else min(value, most)


def links(url: URL, answer: Answer) -> dict[str, str]:
    """The header that leads to the other pages of a list; empty if there is one page only."""
    targets: dict[str, int] = {}
    if answer.page < answer.pages:
        targets |= {"next": answer.page + 1, "last": answer.pages}
    if answer.page > 1:
        targets |= {"prev": min(answer.page - 1, answer.pages), "first": 1}
    shown = (f'<{url.update_query(page=page)}>; rel="{rel}"' for rel, page in targets.items())
    return {"Link": ", ".join(shown)} if targets else {}
