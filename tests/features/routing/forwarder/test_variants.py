import random
from collections import Counter
from dataclasses import replace
from http import HTTPStatus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.features.routing.forwarder.deployed import ABOUT, PATH

from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig, Variant
from ephemeral_endpoints.features.routing.forwarder.messages import Problem
from ephemeral_endpoints.features.routing.forwarder.variants import Target, choose, in_use


def config(*variants: Variant) -> ForwarderConfig:
    return ForwarderConfig(variants, None, 1000, "us-east-1", ABOUT, PATH)


APART = config(Variant("a", "end-a", 90), Variant("b", "end-b", 10), Variant("dark", "end-dark", 0))
TOGETHER = config(Variant("a", "end", 90), Variant("b", "end", 10), Variant("dark", "end", 0))
ALONE = config(Variant("main", "end", 1))

weights = st.lists(st.integers(0, 1000), min_size=1, max_size=5).filter(any)


class Fixed(random.Random):
    """Draws the same number again and again."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def random(self) -> float:
        return self.number


@given(weights, st.floats(0, 1, exclude_max=True))
@example([0, 1], 0.0)
@example([1, 0], 1 - 2**-53)
def test_without_a_wish_only_variants_with_a_weight_are_drawn(shares: list[int], number: float) -> None:
    split = config(*(Variant(f"v{number}", f"end{number}", share) for number, share in enumerate(shares)))
    target = choose(split, None, Fixed(number))
    [drawn] = [variant for variant in split.variants if variant.name == target.variant]
    assert drawn.weight > 0
    assert target == Target(drawn.endpoint_name, drawn.name, shared=False)


@given(weights, st.text(max_size=20))
def test_a_key_leads_to_one_variant_with_a_weight(shares: list[int], key: str) -> None:
    split = config(*(Variant(f"v{number}", f"end{number}", share) for number, share in enumerate(shares)))
    drawn = {choose(split, None, random.Random(seed), key) for seed in range(3)}  # noqa: S311 - reproducible draws
    [target] = drawn
    assert next(each.weight for each in split.variants if each.name == target.variant) > 0
    assert choose(split, split.variants[-1].name, Fixed(0), key).variant == split.variants[-1].name


def test_over_many_keys_the_shares_are_the_weights_and_a_revision_mixes_anew() -> None:
    keys = [f"user-{number}" for number in range(1000)]
    before = [choose(APART, None, Fixed(0), key).variant for key in keys]
    after = [
        choose(replace(APART, about=replace(ABOUT, revision="0" * 40)), None, Fixed(0), key).variant for key in keys
    ]
    assert 870 < Counter(before)["a"] < 930
    assert before != after
    assert {choose(TOGETHER, None, Fixed(0), key).shared for key in keys} == {True}


@settings(max_examples=20)
@given(st.lists(st.integers(1, 10), min_size=2, max_size=4), st.integers(0, 2**32))
def test_over_many_requests_the_shares_are_the_weights(shares: list[int], seed: int) -> None:
    split = config(*(Variant(f"v{number}", f"end{number}", share) for number, share in enumerate(shares)))
    generator = random.Random(seed)  # noqa: S311 - reproducible draws
    requests = 2000
    drawn = Counter(choose(split, None, generator).variant for _ in range(requests))
    for variant in split.variants:
        share = variant.weight / sum(shares)
        deviation = (requests * share * (1 - share)) ** 0.5
        assert abs(drawn[variant.name] - requests * share) < 6 * deviation


@pytest.mark.parametrize(
    ("split", "asked", "target", "reason"),
    [
        (APART, "b", Target("end-b", "b", shared=False), "each has an endpoint"),
        (APART, "dark", Target("end-dark", "dark", shared=False), "asked for by name, a weight of 0 does not matter"),
        (TOGETHER, "b", Target("end", "b", shared=True), "SageMaker gets the name"),
        (TOGETHER, None, Target("end", None, shared=True), "SageMaker draws"),
        (ALONE, "main", Target("end", "main", shared=False), "there is no other"),
        (ALONE, None, Target("end", "main", shared=False), "likewise"),
    ],
)
def test_where_a_request_goes(split: ForwarderConfig, asked: str | None, target: Target, reason: str) -> None:
    assert choose(split, asked, random.SystemRandom()) == target, reason


@pytest.mark.parametrize("asked", ["", "A", "a,b", "a ", "end-a"])
@pytest.mark.parametrize("split", [APART, TOGETHER])
def test_a_name_that_no_variant_has_is_refused_with_the_names(split: ForwarderConfig, asked: str) -> None:
    for refused in (lambda: choose(split, asked, random.SystemRandom()), lambda: in_use(split, asked)):
        with pytest.raises(Problem) as refusal:
            refused()
        assert (refusal.value.status, refusal.value.kind) == (HTTPStatus.BAD_REQUEST, "unknown-variant")
        assert refusal.value.detail.endswith("the name of a variant: a, b, dark.")


@pytest.mark.parametrize(
    ("split", "asked", "names"),
    [(APART, None, ["a", "b"]), (TOGETHER, None, ["a", "b"]), (APART, "dark", ["dark"]), (ALONE, None, ["main"])],
)
def test_ready_means_those_that_get_requests_or_the_one_asked_for(
    split: ForwarderConfig, asked: str | None, names: list[str]
) -> None:
    targets = in_use(split, asked)
    assert [target.variant for target in targets] == names
    assert {target.shared for target in targets} == {split is TOGETHER}
