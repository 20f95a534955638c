"""The lineage of a version, as the properties that AWS takes and gives back."""

import re

from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.packages.lineage import KEYS, Lineage

LINEAGES = st.builds(Lineage, **{name: st.text(max_size=300) for name in KEYS})


def test_the_keys_are_those_of_the_contract() -> None:
    assert set(KEYS.values()) == {
        *("repository", "pullRequest", "revision", "imageDigest", "dataRevision"),
        *("cluster", "namespace", "name", "uid"),
    }


@given(LINEAGES)
def test_aws_takes_every_value(lineage: Lineage) -> None:
    assert all(re.fullmatch(r"[\w .:/=+\-@]{1,256}", value) for value in lineage.properties.values())


@given(LINEAGES)
def test_what_was_written_is_read(lineage: Lineage) -> None:
    read = Lineage.of(lineage.properties)
    assert read.properties == lineage.properties
    assert Lineage.of(read.properties) == read


def test_properties_of_others_are_no_lineage() -> None:
    assert Lineage.of({"owner": "acme", "revision": "1f0c2a9"}) == Lineage(revision="1f0c2a9")
