import pytest

from ephemeral_endpoints.features.checks.comparison.pointers import Path, Pattern, folded, pointer


@pytest.mark.parametrize(
    ("path", "exact", "fold", "reason"),
    [
        ((), "", "", "the answer as a whole"),
        (("a", 0, "b"), "/a/0/b", "/a/-/b", "an index is folded"),
        (("0",), "/0", "/0", "a member may be called as an index"),
        (("a/b", "~"), "/a~1b/~0", "/a~1b/~0", "RFC 6901 escapes both"),
        (("",), "/", "/", "a member without a name"),
    ],
)
def test_a_path_is_a_pointer(path: Path, exact: str, fold: str, reason: str) -> None:
    assert (pointer(path), folded(path)) == (exact, fold), reason


@pytest.mark.parametrize(
    ("text", "path", "is_covered", "is_met", "reason"),
    [
        ("", (), True, True, "the root"),
        ("", ("a", 1), True, False, "everything is below the root"),
        ("/a", ("a",), True, True, "the member itself"),
        ("/a", ("a", "b"), True, False, "what is below it"),
        ("/a", ("ab",), False, False, "the beginning of a name is another name"),
        ("/a/b", ("a",), False, False, "what is above it"),
        ("/a/-/b", ("a", 7, "b"), True, True, "any index"),
        ("/a/-/b", ("a", "x", "b"), False, False, "a member is no index"),
        ("/a/*/b", ("a", "x", "b"), True, True, "any member"),
        ("/a/*/b", ("a", 7, "b"), True, True, "any index too"),
        ("/a/7", ("a", 7), True, True, "one index"),
        ("/a/7", ("a", 8), False, False, "another index"),
        ("/a~1b/~0", ("a/b", "~"), True, True, "escaped names"),
        ("/~01", ("~1",), True, True, "an escaped tilde before a digit"),
    ],
)
def test_a_pattern_covers_what_it_points_to_and_what_is_below(
    text: str,
    path: Path,
    *,
    is_covered: bool,
    is_met: bool,
    reason: str,
) -> None:
    pattern = Pattern.of(text)
    assert (pattern.covers(path), pattern.is_at(path)) == (is_covered, is_met), reason
