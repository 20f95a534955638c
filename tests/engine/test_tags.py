import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.engine.tags import (
    ACTIVE_TAGS,
    CLUSTER,
    RETAIN,
    RETAINED_TAGS,
    UID,
    class_tags,
    is_owned,
    is_retained,
    joined,
    owner_tags,
    rendered,
    repairable,
    tag_value,
    timestamp,
)

CREATED = datetime(2026, 11, 1, 12, tzinfo=UTC)


def tags(pull_request: int | None = 42) -> dict[str, str]:
    found = owner_tags(
        cluster_id="c1",
        namespace="nlp",
        name="pr-42",
        uid="u-1",
        class_name="default",
        created_at=CREATED,
        expires_at=CREATED + timedelta(hours=72),
        pull_request=pull_request,
    )
    assert list(found) == sorted(found)
    return dict(found)


def test_tags_name_the_owner_and_the_expiry() -> None:
    assert tags() == {
        "CreatedAt": "2026-11-01T12:00:00Z",
        "Environment": "Ephemeral",
        "ManagedBy": "ephemeral-endpoints",
        "PR_Number": "42",
        "ephemeral-endpoints.io/class": "default",
        "ephemeral-endpoints.io/cluster": "c1",
        "ephemeral-endpoints.io/expires-at": "2026-11-04T12:00:00Z",
        "ephemeral-endpoints.io/name": "pr-42",
        "ephemeral-endpoints.io/namespace": "nlp",
        "ephemeral-endpoints.io/uid": "u-1",
    }


def test_what_belongs_to_no_pull_request_names_none() -> None:
    assert "PR_Number" not in tags(pull_request=None)


@pytest.mark.parametrize(
    ("changes", "owned", "reason"),
    [
        ({}, True, "our tags"),
        ({"team": "nlp"}, True, "tags of others beside ours"),
        ({"ephemeral-endpoints.io/uid": "u-2"}, False, "an object of the same name"),
        ({"ephemeral-endpoints.io/cluster": "c2"}, False, "another operator's"),
        ({"ephemeral-endpoints.io/uid": None}, False, "made by hand under our name"),
    ],
)
def test_only_tags_of_the_cluster_and_the_object_prove_ownership(
    changes: dict[str, str | None],
    owned: bool,  # noqa: FBT001 - a table's column
    reason: str,
) -> None:
    found = {key: value for key, value in {**tags(), **changes}.items() if value is not None}
    assert is_owned(found, cluster_id="c1", uid="u-1") is owned, reason


def test_what_a_class_shares_is_the_classs() -> None:
    found = dict(class_tags(cluster_id="c1", name="default", uid="u-9"))
    assert is_owned(found, cluster_id="c1", uid="u-9")
    assert found["Environment"] == "Ephemeral"
    assert "ephemeral-endpoints.io/expires-at" not in found


@given(st.text(max_size=600))
def test_a_value_has_only_what_aws_takes_and_as_much_of_it(text: str) -> None:
    value = tag_value(text)
    assert len(value) == min(len(text), 256)
    assert all(unicodedata.category(each)[0] in "LN" or each in "_ .:/=+-@" for each in value)
    assert tag_value(value) == value


def test_times_are_in_utc() -> None:
    assert timestamp(datetime(2026, 11, 1, 14, tzinfo=timezone(timedelta(hours=2)))) == "2026-11-01T12:00:00Z"


@pytest.mark.parametrize(
    ("found", "retained", "reason"),
    [
        ({}, False, "nobody asked for it"),
        (dict(RETAINED_TAGS), True, "its object went and it was to stay"),
        (dict(ACTIVE_TAGS), False, "its object lives"),
        ({RETAIN: "True"}, False, "only our own word counts"),
    ],
)
def test_what_is_retained_says_so(found: dict[str, str], retained: bool, reason: str) -> None:  # noqa: FBT001 - a table's column
    assert is_retained(found) is retained, reason


@pytest.mark.parametrize(
    ("template", "value", "reason"),
    [
        ("platform", "platform", "as it is"),
        ("{namespace}", "nlp", "a value of the object"),
        ("{namespace}/{name}", "nlp/pr-42", "several"),
        ("{pullRequest}", "", "the object has none"),
        ("{namespace", "{namespace", "half a placeholder is text"),
    ],
)
def test_the_tags_of_a_class_refer_to_the_object(template: str, value: str, reason: str) -> None:
    values = {"namespace": "nlp", "name": "pr-42", "pullRequest": ""}
    assert rendered({"CostCenter": template}, values) == {"CostCenter": value}, reason


def test_what_no_object_owns_has_no_tags_that_refer_to_one() -> None:
    assert rendered({"CostCenter": "42", "Team": "{namespace}"}, {}) == {"CostCenter": "42"}


def test_owner_tags_take_precedence_and_the_objects_over_its_classs() -> None:
    owner = ((UID, "u-1"), ("ManagedBy", "ephemeral-endpoints"))
    found = joined(owner, {"Team": "platform", "Site": "fra", UID: "forged"}, {"Team": "nlp", "ManagedBy": "me"})
    assert dict(found) == {"Team": "nlp", "Site": "fra", **dict(owner)}
    assert list(found) == sorted(found)


def test_values_become_what_aws_accepts() -> None:
    assert joined((), {"Branch": "feature/emojis-🙂"}) == (("Branch", "feature/emojis-_"),)


def test_the_proof_of_ownership_is_never_added_later() -> None:
    every = tuple(tags().items())
    assert dict(every).keys() - dict(repairable(every)).keys() == {CLUSTER, UID}
