import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.engine.log_lines import quoting, summarized, telling

TRACEBACK = (
    "Traceback (most recent call last):",
    '  File "/app/serve.py", line 3, in <module>',
    "    import torch",
    "    ~~~~~~~^^^^^",
    "ModuleNotFoundError: No module named 'torch'",
)
FAREWELL = (
    "[7] [INFO] Worker exiting (pid: 7)",
    "[1] [ERROR] Worker failed to boot.",
    "[1] [INFO] Shutting down",
    "bye",
)


@pytest.mark.parametrize(
    ("lines", "expected", "reason"),
    [
        (("a", "b", "c"), ("b", "c"), "the newest"),
        (("a", "", "   ", "b ", "------"), ("a", "b"), "empty ones and rules say nothing"),
        (TRACEBACK, ("    import torch", "ModuleNotFoundError: No module named 'torch'"), "carets say nothing"),
        (
            (*TRACEBACK, *FAREWELL),
            ("ModuleNotFoundError: No module named 'torch'", "bye"),
            "the cause is not pushed out",
        ),
        (("ValueError: first", "KeyError: 'second'", "a", "b"), ("KeyError: 'second'", "b"), "the newest exception"),
        (("torch.cuda.OutOfMemoryError: CUDA", "a", "b"), ("torch.cuda.OutOfMemoryError: CUDA", "b"), "of any module"),
        (("Error handling request /ping", "a", "b"), ("a", "b"), "a sentence is no exception"),
        ((), (), "nothing was said"),
    ],
)
def test_the_lines_that_tell_why(lines: tuple[str, ...], expected: tuple[str, ...], reason: str) -> None:
    assert telling(lines, count=2) == expected, reason


@given(st.lists(st.sampled_from([*TRACEBACK, *FAREWELL, ""]), max_size=30), st.integers(1, 9))
def test_there_are_never_more_lines_than_asked_for_and_all_were_said(lines: list[str], count: int) -> None:
    found = telling(lines, count=count)
    assert len(found) <= count
    assert set(found) <= set(lines)
    if any("ModuleNotFoundError" in line for line in lines):
        assert any("ModuleNotFoundError" in line for line in found)


@pytest.mark.parametrize(
    ("lines", "expected", "reason"),
    [
        ((), "it failed", "nothing was said"),
        (TRACEBACK, f"it failed; last lines of the log: {TRACEBACK[-1]}", "the exception is the cause"),
        ((*TRACEBACK, *FAREWELL), f"it failed; last lines of the log: {TRACEBACK[-1]}", "and not the farewell"),
        (("a", "b"), "it failed; last lines of the log: b", "no exception"),
    ],
)
def test_a_summary_has_the_line_that_says_most(lines: tuple[str, ...], expected: str, reason: str) -> None:
    message = quoting("it failed", lines)
    assert all(line in message for line in lines)
    assert summarized(message) == expected, reason
    assert summarized(expected) == expected, "a summary stays as it is"
