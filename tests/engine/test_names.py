import itertools
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.engine.names import (
    Names,
    api_name,
    content_digest,
    endpoint_logs,
    models_of_config,
    owner_hash,
    owner_of,
    slug,
    variant_hash,
)

SAGEMAKER = re.compile(r"(?=.{1,63}\Z)[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
"""https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html"""
LAMBDA = re.compile(r"[a-zA-Z0-9-_]{1,64}")
LOG_GROUP = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")

CLUSTERS = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
# Names that look like parts of our own are the ones to be afraid of.
TEXTS = st.text(max_size=300) | st.text("ab2-cdef0", max_size=60) | st.from_regex("([a-z2-7]{10}-|[0-9a-f]{8}-){1,3}")
NAMES = st.builds(Names, CLUSTERS, TEXTS, st.uuids().map(str))
DIGESTS = st.text(max_size=20).map(content_digest)


def all_names(names: Names, model: str, config: str) -> dict[str, str]:
    return {
        "endpoint and function": names.base,
        "model": names.immutable(model, model),
        "configuration": names.immutable(model, config),
        "forwarder's logs": names.forwarder_logs,
        "endpoint's logs": endpoint_logs(names.base),
        "alarm": names.alarm("latency"),
        "repository": names.base,
        "repository in folders": f"previews/ml.team/{names.base}",
    }


@given(names=NAMES, model=DIGESTS, config=DIGESTS)
def test_names_fit_what_aws_allows_whatever_the_object_is_called(names: Names, model: str, config: str) -> None:
    for name in (names.base, names.immutable(model, model), names.immutable(model, config)):
        assert SAGEMAKER.fullmatch(name), name
    assert LAMBDA.fullmatch(names.base)
    assert len(names.base) <= 44
    assert LOG_GROUP.fullmatch(names.forwarder_logs)
    assert LOG_GROUP.fullmatch(endpoint_logs(names.base))


@given(names=NAMES, model=DIGESTS, config=DIGESTS)
def test_every_name_contains_its_owner(names: Names, model: str, config: str) -> None:
    for form, name in all_names(names, model, config).items():
        assert owner_of(names.cluster_id, name) == owner_hash(names.uid), form
    api = api_name(names.cluster_id, names.name, names.uid)
    assert owner_of(names.cluster_id, api) == owner_hash(names.uid)


@given(names=NAMES, cluster=CLUSTERS, model=DIGESTS, config=DIGESTS)
def test_no_name_is_taken_for_another_clusters(names: Names, cluster: str, model: str, config: str) -> None:
    for form, name in all_names(names, model, config).items():
        assert (owner_of(cluster, name) is not None) == (cluster == names.cluster_id), form


@given(names=NAMES, uid=st.uuids().map(str), model=DIGESTS, config=DIGESTS)
def test_objects_of_one_name_have_nothing_in_common(names: Names, uid: str, model: str, config: str) -> None:
    other = Names(names.cluster_id, names.name, uid)
    ours, theirs = (set(all_names(each, model, config).values()) for each in (names, other))
    assert len(ours) == (7 if model != config else 6)
    assert ours == theirs if uid == names.uid else not ours & theirs


@given(names=NAMES, model=DIGESTS, config=DIGESTS)
def test_the_name_of_a_configuration_contains_its_model(names: Names, model: str, config: str) -> None:
    assert models_of_config(names.immutable(model, config), [names.immutable(model, model)]) == {
        names.immutable(model, model)
    }


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "nothing"),
        ("eep-c1-", "the prefix alone"),
        ("eep-c1-abcdefghij", "no slug"),
        ("eep-c1-x-abcdefghi", "an owner of nine characters"),
        ("eep-c1-x-abcdefghi1", "1 is no digit of base 32"),
        ("eep-c1-x-ABCDEFGHIJ", "ours are in lower case"),
        ("eep-c1-x-abcdefghij-0123456", "content of seven digits"),
        ("eep-c1-x-abcdefghij-0123456g", "content that is not hexadecimal"),
        ("eep-c1-x-abcdefghij-01234567-01234567-01234567", "one content too many"),
        (f"eep-c1-x-abcdefghij-{'m' * 6}-{'c' * 25}", "content of 25 characters"),
        (f"eep-c1-x-abcdefghij-{'m' * 6}-{'c' * 26}-01234567", "something behind the content"),
        (f"eep-c1-x-abcdefghij-{'c' * 26}", "content without the models"),
        ("eep-c1-x-abcdefghij\n", "a line end"),
        ("eep-c11-x-abcdefghij", "a cluster whose id begins like ours"),
        ("my-eep-c1-x-abcdefghij", "something in front"),
        ("/aws/codebuild/eep-c1-x-abcdefghij", "the logs of another service"),
        ("/aws/lambda/previews/eep-c1-x-abcdefghij", "folders between a service and what would be ours"),
        ("/eep-c1-x-abcdefghij", "a log group, since no repository begins with a slash"),
        ("previews//eep-c1-x-abcdefghij", "no folder's name"),
        ("Previews/eep-c1-x-abcdefghij", "a folder as ECR has none"),
        ("previews/eep-c1-x-abcdefghij/models", "ours is but a folder"),
        ("previews/my-eep-c1-x-abcdefghij", "something in front of it in its folder"),
        ("previews/eep-c1-x-abcdefghij:latency", "no alarm has folders"),
        ("eep-c1-x-abcdefghij ANY /eep-c1-y-abcdefghij", "a route whose path says what it likes"),
    ],
)
def test_what_is_not_a_name_of_ours_has_no_owner(name: str, reason: str) -> None:
    assert owner_of("c1", name) is None, reason


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("pr-42", "pr-42", "a good name stays"),
        ("Feature/Umläut", "feature-uml-ut", "what AWS refuses becomes a hyphen"),
        ("a..__..b", "a-b", "one hyphen for a run"),
        ("--a--", "a", "no hyphen at the ends"),
        ("abcdefghijklmnopqrs-uvw", "abcdefghijklmnopqrs", "none at the cut either"),
        ("模型", "x", "nothing that AWS allows"),
        ("", "x", "nothing at all"),
    ],
)
def test_a_slug_is_what_every_aws_name_allows(text: str, expected: str, reason: str) -> None:
    assert slug(text) == expected, reason


@given(one=st.lists(st.text("ab\0=", max_size=3), max_size=3), two=st.lists(st.text("ab\0=", max_size=3), max_size=3))
def test_content_with_different_parts_has_different_digests_even_if_they_join_to_the_same(
    one: list[str], two: list[str]
) -> None:
    assert (content_digest(*one) == content_digest(*two)) == (one == two)


def test_names_are_what_they_were_in_earlier_versions() -> None:
    """Another name is another resource: everybody's endpoints would be made anew."""
    names = Names("c1", "pr-42", "3f0c1c5e-0000-4000-8000-000000000042")
    assert names.base == "eep-c1-pr-42-iko7rjeflo"
    assert names.endpoint("b") == f"eep-c1-pr-42-iko7rjeflo-{variant_hash('b')}"
    assert variant_hash("b") == "a8950f05"
    digest = content_digest("image", "", "role")
    assert names.immutable(digest, digest) == "eep-c1-pr-42-iko7rjeflo-ms7chf-ms7chf4fmovfrmmh5cye2snj7k"


def test_models_and_configurations_of_earlier_versions_have_owners_and_are_deleted_in_their_order() -> None:
    base = "eep-c1-pr-42-iko7rjeflo"
    one, of_several, other = f"{base}-01234567", f"{base}-01234567-89abcdef", f"{base}-76543210"
    for name in (one, of_several, other):
        assert owner_of("c1", name) == "iko7rjeflo"
    assert models_of_config(f"{base}-01234567-00000000", [one, of_several, other]) == {one, of_several}


def test_no_two_contents_can_be_chosen_that_have_one_name() -> None:
    """The attack on 32 bits, which takes an author a fraction of a second: an older model of theirs serves as new."""
    names, seen = Names("c1", "pr-42", "3f0c1c5e-0000-4000-8000-000000000042"), dict[str, str]()
    for number in itertools.count():
        content = content_digest("image", str(number))
        if (twin := seen.setdefault(content[:6], content)) != content:
            break
    assert names.immutable(twin, twin) != names.immutable(twin, content)
    assert len(names.immutable(content, content).rpartition("-")[2]) * 5 >= 128, "digits of base 32"
