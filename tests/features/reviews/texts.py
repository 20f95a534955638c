"""Texts of people who want more than to be read."""

from hypothesis import strategies as st

TRICKS = (
    *(
        "`",
        "``",
        "```",
        "|",
        "\\",
        "\\|",
        "\\`",
        "\n",
        "\n\n",
        "\r\n",
        "\t",
        "    ",
        "---",
        "***",
        "# ",
        "> ",
        "- ",
        "1. ",
    ),
    *(
        "<",
        ">",
        "</details>",
        "<script>alert(1)</script>",
        "<img src=x onerror=y>",
        "<!--",
        "-->",
        "<a href='x'>",
        "&lt;",
    ),
    *("@acme/admins", "@mallory", "#1", "acme/wine#1", "GH-1", "deadbeefdeadbeef", "!", "[x](https://evil.example)"),
    *(
        "https://evil.example",
        "www.evil.example",
        "mallory@evil.example",
        "javascript:alert(1)",
        ":tada:",
        "$x$",
        "~~",
        "_",
    ),
    *("\u202e", "\u200b", "\ufeff", "\x00", "\x1b[31m", "é", "🎉", "\u2028"),
)


def hostile() -> st.SearchStrategy[str]:
    """Any text, most of it made of tricks."""
    made = st.lists(st.one_of(st.sampled_from(TRICKS), st.text(max_size=5)), max_size=12).map("".join)
    return st.one_of(made, st.text(max_size=60))
