from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.objects import DIGEST, OTHER_DIGEST, REGISTRY, endpoint, make_class, merged
from tests.features.training.examples import POLICY, SHA, TRAINING, spec_of, trained

from ephemeral_endpoints.engine.names import owner_hash, owner_of
from ephemeral_endpoints.features.subject import Subject

OTHERS: list[tuple[Mapping[str, Any], str]] = [
    ({"data": {"revision": "2026-11-29"}}, "new data"),
    ({"data": {"s3Uri": "s3://acme-data/digits/"}}, "other data"),
    ({"hyperparameters": {"seed": "8"}}, "another value"),
    ({"hyperparameters": {"rate": "0.1"}}, "one more"),
    ({"resources": {"instanceType": "ml.m5.xlarge"}}, "another type"),
    ({"resources": {"spot": {"maxWait": "1h"}}}, "spot instances"),
    ({"gate": {"atLeast": "0.9"}}, "another bound"),
    ({"gate": {"metric": "loss"}}, "another metric"),
    ({"register": {"approval": "Approved"}}, "another status"),
]


@pytest.mark.parametrize(("change", "reason"), OTHERS, ids=[reason for _, reason in OTHERS])
def test_what_trains_something_else_is_another_content(change: Mapping[str, Any], reason: str) -> None:
    assert reason
    one, other = spec_of(trained()), spec_of(trained(change))
    assert one.content != other.content
    assert one.pipeline == other.pipeline
    assert one.parameters["ArtifactsS3Uri"] != other.parameters["ArtifactsS3Uri"]


def test_another_image_is_another_content_and_another_commit_is_not() -> None:
    one = spec_of(trained())
    assert spec_of(trained(), OTHER_DIGEST).content != one.content
    later = spec_of(trained(source={"revision": "a" * 40, "pullRequest": 43}))
    assert later.content == one.content
    assert later.parameters["Revision"] == "a" * 40
    assert later.parameters["PullRequest"] == "43"


def test_the_image_is_named_by_its_digest() -> None:
    found = spec_of(trained())
    assert found.image == f"{REGISTRY}/models/sentiment@{DIGEST}"
    assert (found.parameters["ImageUri"], found.parameters["ImageDigest"]) == (found.image, DIGEST)


def test_packages_of_pull_requests_are_apart() -> None:
    assert spec_of(trained()).group == "wine-previews"
    merged_commit = spec_of(trained(source={"pullRequest": None}))
    assert merged_commit.group == "wine"
    assert "PullRequest" not in merged_commit.parameters


def test_each_namespace_and_group_has_a_pipeline_of_its_class() -> None:
    one = trained()
    elsewhere = Subject("c1", endpoint_in("cv"), one.endpoint_class)
    names = {spec_of(each).pipeline for each in (one, elsewhere, trained({"register": {"group": "digits-1"}}))}
    assert len(names) == 3
    assert {owner_of("c1", name) for name in names} == {owner_hash(one.endpoint_class.metadata.uid)}
    assert all(len(name) <= 256 for name in names)


def endpoint_in(namespace: str) -> Any:  # noqa: ANN401 - an object
    model = {"image": None, "training": TRAINING}
    return endpoint({"metadata": {"namespace": namespace}, "spec": {"source": {"revision": SHA}, "model": model}})


def test_a_definition_gets_only_the_parameters_that_it_declares() -> None:
    found = spec_of(trained())
    assert found.parameters.keys() <= found.definition.parameters
    assert found.definition.parameters <= found.parameters.keys()


@given(st.dictionaries(st.from_regex("[A-Za-z][A-Za-z0-9_-]{0,63}", fullmatch=True), st.text(min_size=1, max_size=99)))
def test_hyperparameters_arrive_as_they_are(given_: dict[str, str]) -> None:
    values = {f"h{name}"[:64]: value for name, value in given_.items()}
    found = spec_of(trained({"hyperparameters": values}))
    assert {name: found.parameters[name] for name in values} == values
    assert not any(value in found.definition.text for value in values.values() if len(value) > 40)


@given(st.integers(min_value=1, max_value=999_999_999))
def test_names_of_executions_are_such_as_sagemaker_takes(attempt: int) -> None:
    name = spec_of(trained()).run_name(attempt)
    assert len(name) <= 82
    assert name.startswith(spec_of(trained()).run_names)


def test_a_class_of_another_name_has_other_pipelines() -> None:
    other = make_class({"metadata": {"uid": "another"}, "spec": merged(POLICY, {})})
    one = trained()
    assert spec_of(Subject("c1", one.endpoint, other)).pipeline != spec_of(one).pipeline
