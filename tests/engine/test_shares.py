import pytest

from ephemeral_endpoints.engine.shares import most_at_once


@pytest.mark.parametrize(
    ("total", "share", "most", "reason"),
    [
        (0, 0.2, 5, "how many there are is not known"),
        (6, 0.2, 5, "never less than a few"),
        (26, 0.2, 6, "an object more than a part of one"),
        (300, 0.2, 60, "a fifth"),
        (300, 1.0, 300, "all"),
    ],
)
def test_a_share_of_all_objects_may_go_at_once(total: int, share: float, most: int, reason: str) -> None:
    assert most_at_once(total, share) == most, reason
