"""Which table an object's votes are in, and whose it is."""

from dataclasses import replace
from typing import Any

import pytest
from tests.engine.objects import resolved, subject

from ephemeral_endpoints.engine.names import owner_hash, owner_of
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.tags import UID, is_retained
from ephemeral_endpoints.features.routing.feedback.desired import desired, kept_table, refused_feedback, table
from ephemeral_endpoints.features.routing.feedback.specs import FeedbackTableSpec
from ephemeral_endpoints.features.subject import Subject

ALLOWED = {"lifecycle": {"allowRetainFeedback": True}}


def kept(**metadata: str) -> Subject:
    made = subject({"feedback": {"deletionPolicy": "Retain"}}, ALLOWED)
    changed = made.endpoint.metadata.model_copy(update=metadata)
    return replace(made, endpoint=made.endpoint.model_copy(update={"metadata": changed}))


@pytest.mark.parametrize(
    ("feedback", "policy", "owned", "outlives", "refused", "reason"),
    [
        (None, ALLOWED, False, False, False, "it takes no votes"),
        ({}, ALLOWED, True, False, False, "the default"),
        ({"deletionPolicy": "Delete"}, {}, True, False, False, "the same, said"),
        ({"deletionPolicy": "Retain"}, ALLOWED, False, True, False, "the class allows it"),
        (
            {"deletionPolicy": "Retain"},
            {"lifecycle": {"allowRetain": True}},
            True,
            False,
            True,
            "another right",
        ),
    ],
)
def test_a_table_is_the_objects_own_or_outlives_it(  # noqa: PLR0917 - a row
    feedback: Any,  # noqa: ANN401 - members of a spec
    policy: dict[str, Any],
    owned: bool,  # noqa: FBT001 - a row
    outlives: bool,  # noqa: FBT001
    refused: bool,  # noqa: FBT001
    reason: str,
) -> None:
    given = subject({"feedback": feedback} if feedback is not None else {}, policy)
    own = [each.key for each in desired(given, resolved(), DesiredState()).resources]
    stays = kept_table(given)
    assert (bool(own), stays is not None, refused_feedback(given) is not None) == (owned, outlives, refused), reason
    assert table(given) == (own[0] if own else stays and stays.key), "the forwarder has the same"


def test_the_next_object_of_a_name_has_the_table_of_the_one_before_and_nobody_else_has_it() -> None:
    first, again, other, elsewhere = (
        kept_table(each) for each in (kept(), kept(uid="another"), kept(name="pr-43"), kept(namespace="vision"))
    )
    assert first
    assert again
    assert first == again
    assert len({each.key for each in (first, other, elsewhere) if each}) == 3


def test_it_is_ours_and_of_no_object_by_its_name_and_its_tags() -> None:
    given = kept()
    made = kept_table(given)
    assert made
    assert isinstance(made.spec, FeedbackTableSpec)
    tags = dict(made.spec.tags)
    owner = owner_of(given.cluster_id, made.key.name)
    assert owner == owner_hash(tags[UID]) != given.names.owner
    assert is_retained(tags)
