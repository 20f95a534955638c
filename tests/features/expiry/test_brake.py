import pytest

from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.features.expiry.brake import LEAST, WINDOW_SECONDS, ExpiryBrake
from ephemeral_endpoints.features.expiry.stage import EXPIRY_HELD


class Fleet:
    """So many objects with a brake."""

    def __init__(self, objects: int, share: float = 0.25) -> None:
        self.objects = objects
        self.now = 0.0
        self.differs: str | None = None
        self.brake = ExpiryBrake(lambda: self.differs, lambda: self.objects, share=share, clock=lambda: self.now)

    def expire(self, *uids: object) -> list[object]:
        """Those of the objects that are held; the others are gone at once."""
        held = []
        for uid in uids:
            if self.brake.hold(str(uid)):
                held.append(uid)
            else:
                self.objects -= 1
                self.brake.forget(str(uid))
        return held


@pytest.mark.parametrize(
    ("objects", "share", "passes", "why"),
    [
        (100, 0.25, 25, "a quarter of all that there were, not of what is left"),
        (1000, 0.25, 250, "likewise"),
        (4, 0.25, 4, "so few are no sign of anything"),
        (LEAST + 1, 0.25, LEAST, "but one more is"),
        (100, 1.0, 100, "the brake is off"),
    ],
)
def test_only_a_share_of_all_objects_expires_at_once(objects: int, share: float, passes: int, why: str) -> None:
    fleet = Fleet(objects, share)
    held = fleet.expire(*range(objects))
    assert len(held) == objects - passes, why
    assert fleet.brake.held() == {"clock": 0, "share": objects - passes}


def test_what_is_held_follows_when_the_window_has_passed() -> None:
    fleet = Fleet(100)
    held = fleet.expire(*range(100))
    fleet.now = WINDOW_SECONDS - 0.001
    assert fleet.expire(*held) == held
    fleet.now = WINDOW_SECONDS
    assert len(fleet.expire(*held)) == 75 - 19, "a quarter of the others"


def test_an_object_that_has_begun_to_end_is_not_counted_twice_nor_stopped_by_others() -> None:
    fleet = Fleet(20)
    passed = [uid for uid in map(str, range(20)) if not fleet.brake.hold(uid)]
    assert len(passed) == LEAST
    assert all(fleet.brake.hold(uid) is None for uid in passed), "each is reconciled many times"
    fleet.now = WINDOW_SECONDS
    assert all(fleet.brake.hold(uid) is None for uid in passed)
    assert fleet.brake.hold("another") is None, "those did not count again"


def test_nothing_expires_while_clocks_differ_and_everything_that_may_does_afterwards() -> None:
    fleet = Fleet(4)
    fleet.differs = "the operator's clock is 15 d ahead of that of AWS"
    cause = fleet.brake.hold("0")
    assert cause == Cause(EXPIRY_HELD, cause.message if cause else "")
    assert "15 d ahead" in str(cause)
    assert fleet.brake.held() == {"clock": 1, "share": 0}
    fleet.differs = None
    assert fleet.expire(*range(4)) == []
    assert fleet.brake.held() == {"clock": 0, "share": 0}


def test_what_had_begun_to_end_stops_while_clocks_differ() -> None:
    fleet = Fleet(4)
    assert fleet.brake.hold("0") is None
    fleet.differs = "the operator's clock is 15 d ahead of that of AWS"
    assert fleet.brake.hold("0") is not None


def test_an_object_that_lives_on_is_not_held_any_more() -> None:
    fleet = Fleet(20)
    held = fleet.expire(*range(20))
    fleet.brake.forget(str(held[0]))
    assert fleet.brake.held()["share"] == len(held) - 1
