from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.aws.inventory import FOREIGN, Inventory
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP, LogGroupSpec
from ephemeral_endpoints.features.routing.specs import HTTP_API
from ephemeral_endpoints.features.serving.specs import MODEL


def group(name: str, owner: str | None = "a", days: int = 7, uses: frozenset[Key] = frozenset()) -> ObservedResource:
    return ObservedResource(Key(LOG_GROUP, name), Phase.READY, spec=LogGroupSpec(days), owner=owner, uses=uses)


@dataclass
class Known:
    """An inventory whose clock is set by hand, and the owners that it reported."""

    now: float = 0.0
    reported: list[str] = field(default_factory=list)
    inventory: Inventory = field(init=False)

    def __post_init__(self) -> None:
        self.inventory = Inventory(lambda: self.now, self.reported.append)

    def replace(self, *found: ObservedResource, began: float) -> None:
        self.inventory.replace(LOG_GROUP, found, began=began)


def test_nothing_is_known_before_the_first_list() -> None:
    inventory = Known().inventory
    assert (dict(inventory.all), inventory.of("a"), inventory.owners()) == ({}, {}, frozenset())
    assert inventory.listed_at(LOG_GROUP) is None


def test_a_list_replaces_its_own_kind_only() -> None:
    known = Known()
    model = ObservedResource(Key(MODEL, "m"), Phase.READY, owner="a")
    known.inventory.put(model)
    known.now = 1
    known.replace(group("g"), began=1)
    known.replace(began=2)
    assert dict(known.inventory.all) == {model.key: model}
    assert known.inventory.listed_at(LOG_GROUP) == 2
    assert known.inventory.listed_at(MODEL) is None


def test_owners_of_changed_resources_are_reported_once_per_list() -> None:
    known = Known()
    known.replace(group("a1", "a"), group("a2", "a"), group("b", "b"), group("c", "c"), began=1)
    known.replace(group("a1", "a", 30), group("a2", "a", 30), group("b", "b"), group("d", "d"), began=2)
    assert sorted(known.reported) == ["a", "c", "d"]
    known.reported.clear()
    known.replace(group("a1", "a", 30), group("a2", "a", 30), group("b", "b"), group("d", "d"), began=3)
    assert known.reported == []


def test_the_first_list_of_a_kind_reports_nobody() -> None:
    known = Known()
    known.replace(group("a1", "a"), began=1)
    assert known.reported == []


def test_both_owners_are_reported_when_a_thing_passes_from_one_to_another() -> None:
    known = Known()
    known.replace(group("g", "a"), began=1)
    known.reported.clear()
    known.replace(group("g", None), began=2)
    assert sorted(known.reported) == [FOREIGN, "a"]
    assert known.inventory.of("a") == {}


def test_what_our_own_calls_do_is_not_reported() -> None:
    known = Known()
    known.inventory.put(group("g"))
    known.inventory.remove(group("g").key)
    assert known.reported == []


def test_what_was_handed_out_is_a_copy() -> None:
    known = Known()
    known.inventory.put(group("g"))
    handed_out = known.inventory.of("a")
    known.inventory.remove(group("g").key)
    assert list(handed_out) == [group("g").key]


def test_users_are_found_whoever_owns_them() -> None:
    known = Known()
    used = Key(HTTP_API, "api")
    mine, others = group("mine", "a", uses=frozenset({used})), group("others", None, uses=frozenset({used}))
    for observed in (mine, others, group("neither")):
        known.inventory.put(observed)
    assert known.inventory.users_of({used}) == {mine.key: mine, others.key: others}
    assert known.inventory.users_of(set()) == {}


HAVES = st.builds(group, st.sampled_from("xyz"), st.sampled_from(["a", "b", None]), st.sampled_from([1, 3]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), HAVES),
        st.tuples(st.just("remove"), HAVES),
        st.tuples(st.just("begin"), HAVES),  # a list begins,
        st.tuples(st.just("read"), HAVES),  # AWS answers it,
        st.tuples(st.just("end"), HAVES),  # and it is taken over
        st.tuples(st.just("tick"), HAVES),
    ),
    max_size=60,
)


@dataclass
class Story:
    """AWS as it is, one list at a time of it, and an inventory that hears of both."""

    known: Known = field(default_factory=Known)
    truth: dict[Key, ObservedResource] = field(default_factory=dict)
    began: float | None = None
    read: list[ObservedResource] | None = None

    def put(self, observed: ObservedResource) -> None:
        self.truth[observed.key] = observed
        self.known.inventory.put(observed)

    def remove(self, observed: ObservedResource) -> None:
        self.truth.pop(observed.key, None)
        self.known.inventory.remove(observed.key)

    def begin(self, _: ObservedResource) -> None:
        if self.began is None:
            self.began = self.known.now

    def answer(self, _: ObservedResource) -> None:
        if self.began is not None:
            self.read = list(self.truth.values())

    def end(self, _: ObservedResource) -> None:
        if self.began is not None and self.read is not None:
            self.known.replace(*self.read, began=self.began)
            self.began = self.read = None

    def tick(self, _: ObservedResource) -> None:
        self.known.now += 1

    def act(self, what: str, observed: ObservedResource) -> None:
        actions: dict[str, Callable[[ObservedResource], None]] = {
            "put": self.put,
            "remove": self.remove,
            "begin": self.begin,
            "read": self.answer,
            "end": self.end,
            "tick": self.tick,
        }
        actions[what](observed)


@given(STEPS)
def test_a_list_never_undoes_what_was_learnt_after_it_began(steps: list[tuple[str, ObservedResource]]) -> None:
    story = Story()
    for what, observed in steps:
        story.act(what, observed)
        inventory = story.known.inventory
        assert dict(inventory.all) == story.truth
        owners = {observed.owner or FOREIGN for observed in story.truth.values()}
        assert inventory.owners() == owners
        for owner in owners:
            theirs = {key: observed for key, observed in story.truth.items() if (observed.owner or FOREIGN) == owner}
            assert inventory.of(owner) == theirs
    assert story.known.reported == []


def test_a_list_of_changes_leaves_what_it_does_not_name() -> None:
    known = Known()
    known.replace(group("a", "a"), group("b", "b"), group("c", "c"), began=1)
    known.inventory.update({group("b").key: group("b", "b", 30), group("c").key: None}, began=2)
    assert dict(known.inventory.all) == {each.key: each for each in (group("a", "a"), group("b", "b", 30))}
    assert sorted(known.reported) == ["b", "c"]
    assert known.inventory.listed_at(LOG_GROUP) == 1, "it is no complete list"


def test_a_list_of_changes_does_not_revert_what_our_calls_did_meanwhile() -> None:
    known = Known()
    known.now = 5
    known.inventory.put(group("g", days=30))
    known.inventory.update({group("g").key: None}, began=4)
    known.inventory.update({group("g").key: group("g", days=7)}, began=5)
    assert known.inventory.all[group("g").key].spec == LogGroupSpec(30)
    assert known.reported == []
