from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.controllers.orphans.plans import Sight, SweepPlan, planned
from ephemeral_endpoints.engine.names import Names, api_name, endpoint_logs
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.engine.tags import EXPIRES_AT, RETAIN, UID, class_tags, owner_tags, timestamp
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP
from ephemeral_endpoints.features.routing.specs import (
    FUNCTION,
    HTTP_API,
    INTEGRATION,
    ROUTE,
    HttpApiSpec,
    IntegrationSpec,
    RouteSpec,
    route_key_name,
)
from ephemeral_endpoints.features.serving.specs import ENDPOINT, MODEL

SCOPE = Scope("c1", "000000000000", "us-east-1")
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
GRACE = timedelta(hours=24)
NAMES = Names("c1", "pr-42", "u-1")
API = ObservedResource(
    Key(HTTP_API, api_name("c1", "default", "c-uid")),
    Phase.READY,
    spec=HttpApiSpec(),
    owner=Names("c1", "x", "c-uid").owner,
)
INTEGRATED = ObservedResource(
    Key(INTEGRATION, NAMES.base),
    Phase.READY,
    spec=IntegrationSpec(API.key, Key(FUNCTION, NAMES.base), "role"),
    owner=NAMES.owner,
)
DANGLING = ObservedResource(
    Key(ROUTE, route_key_name(API.key, "ANY /x")), Phase.READY, spec=RouteSpec(API.key, "ANY /x", None)
)
OF_CLASS = dict(class_tags(cluster_id="c1", name="default", uid="c-uid"))


def tags(uid: str = "u-1", *, ended: float = 30, changes: Mapping[str, str] | None = None) -> dict[str, str]:
    found = owner_tags(
        cluster_id="c1",
        namespace="nlp",
        name="pr-42",
        uid=uid,
        class_name="default",
        created_at=NOW - timedelta(hours=99),
        expires_at=NOW - timedelta(hours=ended),
        pull_request=42,
    )
    return {**dict(found), **(changes or {})}


def observed(kind: object, name: str, uid: str = "u-1") -> ObservedResource:
    return ObservedResource(Key(kind, name), Phase.READY, arn=f"arn:{name}", owner=Names("c1", "x", uid).owner)  # type: ignore[arg-type]


END = observed(ENDPOINT, NAMES.base)
MADE = observed(MODEL, NAMES.immutable("m" * 6, "c" * 26))
LATE = observed(LOG_GROUP, endpoint_logs(NAMES.base))


def plan(sights: Iterable[Sight], *, classes: tuple[str, ...] = (), is_complete: bool = True) -> SweepPlan:
    by_key = {each.observed.key: each for each in sights}
    return planned(SCOPE, by_key, now=NOW, grace=GRACE, classes=classes, is_complete=is_complete)


@pytest.mark.parametrize(
    ("sights", "kinds", "left", "reason"),
    [
        ([Sight(END, tags()), Sight(MADE, tags())], ["Endpoint", "Model"], [], "all is past its end"),
        ([Sight(END, tags(ended=23))], [], [], "within the grace"),
        ([Sight(END, tags()), Sight(MADE, tags(ended=1))], [], [], "extended: one names a later end"),
        ([Sight(END, tags()), Sight(MADE, tags(changes={RETAIN: "true"}))], [], [], "retained"),
        ([Sight(END, {})], [], [], "a name of ours without tags proves nothing"),
        ([Sight(END, tags("forged"))], [], [], "a stranger's, with tags of another owner"),
        ([Sight(END, tags()), Sight(MADE, {"team": "x"})], ["Endpoint"], ["Model"], "left and named"),
        ([Sight(END, tags()), Sight(MADE, None, "denied")], ["Endpoint"], ["Model"], "unread: left and named"),
        ([Sight(END, None, "denied")], [], ["Endpoint"], "nothing is known of it"),
        ([Sight(END, tags()), Sight(INTEGRATED)], ["Endpoint", "Integration"], [], "goes with its object"),
        ([Sight(INTEGRATED)], ["Integration"], [], "its object has nothing else"),
        ([Sight(LATE, {})], ["LogGroup"], [], "made again by a service"),
        ([Sight(LATE, {}), Sight(END, tags(ended=1))], [], [], "made again while the object lives"),
        ([Sight(LATE, {"team": "x"})], [], [], "a stranger's log group"),
        ([Sight(replace(END, phase=Phase.DELETING), tags())], [], [], "it goes already"),
        ([Sight(API, OF_CLASS)], [], [], "a class has no end"),
        ([Sight(API, OF_CLASS), Sight(DANGLING)], ["Route"], [], "a route to nothing in our API"),
        ([Sight(API, {}), Sight(DANGLING)], [], [], "a route to nothing in a stranger's API"),
        ([Sight(END, tags(changes={EXPIRES_AT: "soon"}))], [], [], "an end that nobody can read is none"),
    ],
)
def test_only_what_is_proven_ours_and_past_its_end_is_planned(
    sights: list[Sight], kinds: list[str], left: list[str], reason: str
) -> None:
    made = plan(sights)
    assert [each.kind for each in made.items] == kinds, reason
    assert [kind for kind, _, _ in made.left] == left, reason


def test_what_is_a_rest_by_the_absence_of_others_stays_while_a_list_has_failed() -> None:
    assert plan([Sight(LATE, {}), Sight(INTEGRATED)], is_complete=False).items == ()


def test_what_a_class_shared_goes_by_somebodys_word_and_its_tags() -> None:
    assert [each.kind for each in plan([Sight(API, OF_CLASS)], classes=("default",)).items] == ["HttpApi"]
    assert plan([Sight(API, OF_CLASS | {UID: "x"})], classes=("default",)).items == ()
    assert plan([Sight(API, OF_CLASS)], classes=("gpu",)).items == ()


def test_the_digest_is_that_of_what_is_deleted_and_where() -> None:
    first = plan([Sight(END, tags()), Sight(MADE, tags())])
    assert first.digest == plan([Sight(MADE, tags()), Sight(END, tags()), Sight(LATE, None, "denied")]).digest
    changed = [
        plan([Sight(END, tags())]),
        plan([Sight(END, tags(ended=31)), Sight(MADE, tags(ended=31))]),
        plan([Sight(replace(END, id="again"), tags()), Sight(MADE, tags())]),
        replace(first, region="eu-west-1"),
        replace(first, cluster_id="c2"),
    ]
    assert len({first.digest, *(each.digest for each in changed)}) == 6


def test_a_plan_from_a_file_is_narrowed_to_what_is_still_so() -> None:
    shown = SweepPlan.parsed(plan([Sight(END, tags()), Sight(MADE, tags())]).document())
    now = plan([Sight(END, tags()), Sight(replace(MADE, id="again"), tags()), Sight(LATE, tags())])
    narrowed, gone = now.narrowed(shown.items)
    assert ([each.kind for each in narrowed.items], [each.kind for each in gone]) == (["Endpoint"], ["Model"])


@pytest.mark.parametrize("changes", [{"delete": []}, {"account": "1"}, {"digest": "x"}, {"delete": [{}]}])
def test_an_edited_file_is_refused(changes: Mapping[str, object]) -> None:
    with pytest.raises(ValueError, match="plan"):
        SweepPlan.parsed(plan([Sight(END, tags())]).document() | dict(changes))


@pytest.mark.parametrize(
    ("expired", "alive", "most", "percent", "refused", "reason"),
    [
        (5, 0, 50, 20, None, "a few may go"),
        (6, 0, 50, 20, "--most-percent 100", "all of them"),
        (6, 24, 50, 20, None, "a fifth"),
        (7, 23, 50, 20, "--most-percent 24", "more than a fifth"),
        (7, 23, 6, 100, "--most 7", "more than a number"),
        (7, 0, 50, 100, None, "somebody said so"),
    ],
)
def test_so_much_at_once_is_refused(  # noqa: PLR0917 - a table's columns
    expired: int, alive: int, most: int, percent: float, refused: str | None, reason: str
) -> None:
    ends = [30] * expired + [1] * alive
    sights = [
        Sight(observed(ENDPOINT, Names("c1", "x", f"u-{number}").base, f"u-{number}"), tags(f"u-{number}", ended=end))
        for number, end in enumerate(ends)
    ]
    why = plan(sights).refusal(most, percent)
    assert (why is None) == (refused is None), reason
    assert (refused or "") in (why or ""), reason


def test_the_end_of_an_object_is_shown() -> None:
    [item] = plan([Sight(END, tags())]).items
    assert (item.namespace, item.object, item.expires_at) == ("nlp", "pr-42", timestamp(NOW - timedelta(hours=30)))
