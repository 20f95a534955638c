"""Comments as GitHub renders them: Markdown with tables, and of HTML only what is harmless. Pure.

GitHub removes everything but the elements and attributes of a list; this one is shorter. Source of the dialect:
https://github.github.com/gfm/.
"""

from functools import cache
from typing import Final

import nh3
from markdown_it import MarkdownIt

_PLAIN: Final = (
    *("h1", "h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "blockquote", "pre", "code", "kbd", "samp", "var", "q"),
    *("b", "strong", "i", "em", "s", "del", "ins", "sub", "sup", "small", "mark", "abbr", "cite", "dfn", "tt"),
    *("ul", "ol", "li", "dl", "dt", "dd", "div", "span", "figure", "figcaption"),
    *("table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "details", "summary", "a", "img"),
)
_ATTRIBUTES: Final[dict[str, set[str]]] = {
    "a": {"href", "title"},
    "img": {"src", "alt", "title", "width", "height"},
    "details": {"open"},
    "th": {"align", "colspan", "rowspan", "scope"},
    "td": {"align", "colspan", "rowspan"},
    "ol": {"start"},
    "abbr": {"title"},
}
_ALIGNED: Final = "text-align:"


def rendered(text: str) -> str:
    """The HTML of a comment, safe to put into a page."""
    tokens = _parser().parse(text)
    for token in tokens:
        style = str(token.attrs.pop("style", ""))
        if style.startswith(_ALIGNED):
            token.attrs["align"] = style.removeprefix(_ALIGNED)
    html = _parser().renderer.render(tokens, _parser().options, {})
    return nh3.clean(
        html,
        tags=set(_PLAIN),
        clean_content_tags={"script", "style"},
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener noreferrer",
    )


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True, "breaks": True}).enable(["table", "strikethrough"])
