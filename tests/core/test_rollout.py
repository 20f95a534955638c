import pytest

from ephemeral_endpoints.core.resources import EndpointSpec, Have, Key, Kind, Phase
from ephemeral_endpoints.core.rollout import Rollout


def endpoint(phase: Phase, config: str | None, version: str = "2") -> Have:
    return Have(Key(Kind.ENDPOINT, "e"), phase, EndpointSpec(config) if config else None, version=version)


UNDER_WAY = Rollout().begun("new", version="1")


@pytest.mark.parametrize(
    ("before", "seen", "after", "reason"),
    [
        (Rollout(), endpoint(Phase.READY, "old"), Rollout(), "nothing was asked for"),
        (UNDER_WAY, endpoint(Phase.READY, "old", "1"), UNDER_WAY, "a list that began before the update shows nothing"),
        (UNDER_WAY, endpoint(Phase.BUSY, "old"), UNDER_WAY, "it is on its way"),
        (UNDER_WAY, endpoint(Phase.BUSY, "new"), UNDER_WAY, "on its way, whatever is shown meanwhile"),
        (UNDER_WAY, endpoint(Phase.READY, None), UNDER_WAY, "nobody knows what it serves"),
        (UNDER_WAY, endpoint(Phase.READY, "new"), Rollout(), "it arrived"),
        (UNDER_WAY, endpoint(Phase.READY, "old"), Rollout(failed="new"), "back in service on the old: rolled back"),
        (UNDER_WAY, endpoint(Phase.FAILED, "old"), UNDER_WAY, "a failed endpoint speaks for itself"),
        (UNDER_WAY, None, Rollout(), "an endpoint that is gone begins anew"),
        (Rollout(failed="new"), None, Rollout(), "so does one that had failed"),
        (Rollout(failed="new"), endpoint(Phase.READY, "old"), Rollout(failed="new"), "a failure is remembered"),
        (Rollout("newer", "new"), endpoint(Phase.BUSY, "old"), Rollout("newer", "new"), "until the next is known"),
        (Rollout("newer", "new"), endpoint(Phase.READY, "newer"), Rollout(), "another success ends the memory"),
        (Rollout("newer", "new"), endpoint(Phase.READY, "old"), Rollout(failed="newer"), "the last failure counts"),
    ],
)
def test_what_is_concluded(before: Rollout, seen: Have | None, after: Rollout, reason: str) -> None:
    found = before.seen(seen)
    assert (found.towards, found.failed) == (after.towards, after.failed), reason


def test_a_list_that_began_before_the_update_proves_no_rollback_even_after_an_earlier_one() -> None:
    again = Rollout(failed="new").begun("newer", version="7")
    assert again.seen(endpoint(Phase.READY, "old", "7")) == again
    assert again.seen(endpoint(Phase.READY, "old", "8")).failed == "newer"
