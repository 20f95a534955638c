from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from eep_platform.sagemaker.fleets import Fleet, Shift
from eep_platform.sagemaker.servers import VariantServer


class OneServer:
    """A fleet that always gives the same server: itself."""

    def choose(self, target: str | None) -> VariantServer:
        assert target == "V"
        return cast("VariantServer", self)

    def every(self) -> list[VariantServer]:
        return [self.choose("V")]


@given(st.integers(0, 100), st.integers(1, 300))
def test_a_shift_gives_the_new_fleet_its_share_of_any_number_of_requests(percent: int, requests: int) -> None:
    old, new = OneServer(), OneServer()
    shift = Shift(cast("Fleet", old), cast("Fleet", new), percent / 100)
    chosen = [shift.choose("V") for _ in range(requests)]
    assert chosen.count(cast("VariantServer", new)) == requests * percent // 100
    assert list(shift.every()) == [*old.every(), *new.every()]
