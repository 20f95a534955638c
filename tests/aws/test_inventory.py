from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.aws.inventory import FOREIGN, Inventory
from ephemeral_endpoints.core.resources import Have, Key, Kind, LogGroupSpec, Phase


def group(name: str, owner: str | None = "a", days: int = 7, uses: frozenset[Key] = frozenset()) -> Have:
    return Have(Key(Kind.LOG_GROUP, name), Phase.READY, spec=LogGroupSpec(days), owner=owner, uses=uses)


@dataclass
class Known:
    """An inventory whose clock is set by hand, and the owners that it reported."""

    now: float = 0.0
    reported: list[str] = field(default_factory=list)
    inventory: Inventory = field(init=False)

    def __post_init__(self) -> None:
        self.inventory = Inventory(lambda: self.now, self.reported.append)

    def replace(self, *found: Have, began: float) -> None:
        self.inventory.replace(Kind.LOG_GROUP, found, began=began)


def test_nothing_is_known_before_the_first_list() -> None:
    inventory = Known().inventory
    assert (dict(inventory.all), inventory.of("a"), inventory.owners()) == ({}, {}, frozenset())
    assert inventory.listed_at(Kind.LOG_GROUP) is None


def test_a_list_replaces_its_own_kind_only() -> None:
    known = Known()
    model = Have(Key(Kind.MODEL, "m"), Phase.READY, owner="a")
    known.inventory.put(model)
    known.now = 1
    known.replace(group("g"), began=1)
    known.replace(began=2)
    assert dict(known.inventory.all) == {model.key: model}
    assert known.inventory.listed_at(Kind.LOG_GROUP) == 2
    assert known.inventory.listed_at(Kind.MODEL) is None


def test_owners_are_reported_once_per_list_and_only_those_whose_things_changed() -> None:
    known = Known()
    known.replace(group("a1", "a"), group("a2", "a"), group("b", "b"), group("c", "c"), began=1)
    assert sorted(known.reported) == ["a", "b", "c"]
    known.reported.clear()
    known.replace(group("a1", "a", 30), group("b", "b"), group("d", "d"), began=2)
    assert sorted(known.reported) == ["a", "c", "d"]
    known.reported.clear()
    known.replace(group("a1", "a", 30), group("b", "b"), group("d", "d"), began=3)
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
    used = Key(Kind.HTTP_API, "api")
    mine, others = group("mine", "a", uses=frozenset({used})), group("others", None, uses=frozenset({used}))
    for have in (mine, others, group("neither")):
        known.inventory.put(have)
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
    truth: dict[Key, Have] = field(default_factory=dict)
    began: float | None = None
    read: list[Have] | None = None

    def put(self, have: Have) -> None:
        self.truth[have.key] = have
        self.known.inventory.put(have)

    def remove(self, have: Have) -> None:
        self.truth.pop(have.key, None)
        self.known.inventory.remove(have.key)

    def begin(self, _: Have) -> None:
        if self.began is None:
            self.began = self.known.now

    def answer(self, _: Have) -> None:
        if self.began is not None:
            self.read = list(self.truth.values())

    def end(self, _: Have) -> None:
        if self.began is not None and self.read is not None:
            self.known.replace(*self.read, began=self.began)
            self.began = self.read = None

    def tick(self, _: Have) -> None:
        self.known.now += 1

    def act(self, what: str, have: Have) -> None:
        actions: dict[str, Callable[[Have], None]] = {
            "put": self.put,
            "remove": self.remove,
            "begin": self.begin,
            "read": self.answer,
            "end": self.end,
            "tick": self.tick,
        }
        actions[what](have)


@given(STEPS)
def test_a_list_never_undoes_what_was_learnt_after_it_began(steps: list[tuple[str, Have]]) -> None:
    story = Story()
    for what, have in steps:
        story.act(what, have)
        inventory = story.known.inventory
        assert dict(inventory.all) == story.truth
        owners = {have.owner or FOREIGN for have in story.truth.values()}
        assert inventory.owners() == owners
        for owner in owners:
            theirs = {key: have for key, have in story.truth.items() if (have.owner or FOREIGN) == owner}
            assert inventory.of(owner) == theirs
    assert story.known.reported == []
