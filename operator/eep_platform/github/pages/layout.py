"""The frame of a page, and its parts. Pure; every text is escaped unless it is `Html`."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Final

from eep_platform.github.views.users import instant

STYLE: Final = """\
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem; }
table { border-collapse: collapse; margin: .5rem 0; }
section, article > div { overflow-x: auto; }
caption { font-weight: bold; text-align: left; }
th, td { border: 1px solid GrayText; padding: .25rem .6rem; text-align: left; vertical-align: top; }
td[align=right], th[align=right] { text-align: right; }
td[align=center], th[align=center] { text-align: center; }
article { border: 1px solid GrayText; border-radius: .4rem; margin: 1rem 0; overflow-wrap: anywhere; }
article > header, article > footer { background: color-mix(in srgb, CanvasText 8%, Canvas); padding: .4rem .8rem; }
article > div { padding: 0 .8rem; }
pre { overflow-x: auto; }
.state { border: 1px solid; border-radius: 1rem; padding: .1rem .6rem; }
"""


class Html(str):
    """A text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Html:
    """A value as text in HTML."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def element(name: str, *content: object, **attributes: str) -> Html:
    """An element. Of the names of attributes, the last underscore is dropped, as in ``class_``; others are hyphens."""
    names = {key: key.removesuffix("_").replace("_", "-") for key in attributes}
    shown = "".join(f' {names[key]}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{shown}>{joined(content)}</{name}>")


def joined(parts: Iterable[object]) -> Html:
    """Parts one after the other."""
    return Html("".join(text(part) for part in parts))


def link(url: str | None, label: object) -> Html:
    """A link to a page of the web; only the label if there is no such URL."""
    is_linkable = bool(url) and str(url).startswith(("http://", "https://", "/"))
    return element("a", label, href=str(url), rel="nofollow noopener noreferrer") if is_linkable else text(label)


def since(when: datetime) -> Html:
    """A time."""
    return element("time", when.strftime("%Y-%m-%d %H:%M:%S UTC"), datetime=str(instant(when)))


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> Html:
    """A table; a sentence instead of one without rows. The first cell of each row names it."""
    if not rows:
        return element("p", f"{caption}: none.")
    columns = joined(element("th", each, scope="col") for each in head)
    body = joined(
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])) for row in rows
    )
    return element(
        "table", element("caption", caption), element("thead", element("tr", columns)), element("tbody", body)
    )


def page(title: str, trail: Sequence[tuple[str, str]], *content: object) -> str:
    """A document; ``trail`` are the labels and URLs of the pages above it."""
    links = joined(element("li", link(url, label)) for label, url in trail)
    above = element("nav", element("ul", links), aria_label="Pages above") if trail else ""
    shown = f"{text(above)}<main><h1>{text(title)}</h1>{joined(content)}</main>"
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{text(title)}</title><link rel="stylesheet" href="/_github/style.css">'
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{shown}</body></html>\n'
