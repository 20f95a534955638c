from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from eep_platform.github.pages.markdown import rendered

PIECES = [
    "<script>",
    "</script>",
    "<img src=x onerror=alert(1)>",
    "<a href='javascript:alert(1)'>",
    "[x](javascript:alert(1))",
    "[x](data:text/html,x)",
    "<style>",
    "<svg onload=alert(1)>",
    "<iframe src=//x>",
    "<!--",
    "-->",
    "`",
    "|",
    "\n",
    "\n\n",
    "<details",
    " open>",
    "&lt;script&gt;",
    "<b onclick=",
    "'\"",
    "x",
]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        pytest.param("**a** ~~b~~", "<p><strong>a</strong> <s>b</s></p>", id="emphasis"),
        pytest.param("a\nb", "<p>a<br>\nb</p>", id="a new line is one, as in comments"),
        pytest.param("<!-- marker -->\nx", "<p>x</p>", id="a marker is hidden"),
        pytest.param("<b onclick=x>y</b>", "<p><b>y</b></p>", id="an event handler"),
        pytest.param("<script>alert(1)</script>", "", id="a script with what is in it"),
        pytest.param('<p style="color: red">x</p>', "<p>x</p>", id="a style"),
        pytest.param("a <script>b</script> c", "<p>a  c</p>", id="a script in a line"),
        pytest.param("`<b>`", "<p><code>&lt;b&gt;</code></p>", id="code"),
        pytest.param(
            "[x](https://a.example)",
            '<p><a href="https://a.example" rel="nofollow noopener noreferrer">x</a></p>',
            id="a link",
        ),
        pytest.param("<a href='javascript:x'>y</a>", '<p><a rel="nofollow noopener noreferrer">y</a></p>', id="a trap"),
    ],
)
def test_comments_are_rendered_as_github_does(text: str, html: str) -> None:
    assert rendered(text).strip() == html


def test_tables_and_details_work_together() -> None:
    text = "<details open><summary>All</summary>\n\n| a | b |\n| :- | -: |\n| `x` | 1 |\n\n</details>\n"
    html = rendered(text)
    for part in (
        '<details open=""><summary>All</summary>',
        '<th align="left">a</th>',
        '<td align="right">1</td>',
        "</table>",
        "</details>",
    ):
        assert part in html


class Elements(HTMLParser):
    """The elements of a text as a browser would make them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_nothing_that_runs_is_left_of_anything(text: str) -> None:
    html = rendered(text)
    assert "<!--" not in html
    for tag, attributes in Elements(html).found:
        assert tag not in {"script", "style", "svg", "iframe", "object", "embed", "form"}
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        url = attributes.get("href") or attributes.get("src") or ""
        assert not url.lower().startswith(("javascript:", "data:"))
