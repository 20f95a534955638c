import json
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.objects import ACCOUNT, CLASS, CLUSTER, make_class, merged

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.engine.names import owner_hash, owner_of, prefix
from ephemeral_endpoints.engine.tags import is_owned
from ephemeral_endpoints.features.images.builds.policy import BuildTarget, Copy, Tenant
from ephemeral_endpoints.features.images.desired import (
    canonical_policy,
    desired_repository,
    lifecycle_policy,
    repository_name,
    repository_uri,
)
from ephemeral_endpoints.features.images.references import ImageReference
from ephemeral_endpoints.features.images.specs import REPOSITORY, RepositorySpec

TENANT = Tenant("uid-of-the-class", "previews")
ECR_NAME = re.compile(r"(?=.{2,256}\Z)(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")
"""https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html"""

BUILDS: dict[str, Any] = {"codeBuild": {"project": "previews"}}
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k"


def making(repository: dict[str, Any] | None = None, **changes: Any) -> EphemeralEndpointClass:  # noqa: ANN401 - any
    """A class that makes images."""
    return make_class({"spec": {"builds": BUILDS, "images": {"repository": repository or {}}, **changes}})


def spec_of(endpoint_class: EphemeralEndpointClass) -> RepositorySpec:
    resource = desired_repository(CLUSTER, endpoint_class)
    assert resource is not None
    assert isinstance(resource.spec, RepositorySpec)
    return resource.spec


@given(
    name=st.from_regex("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True),
    uid=st.uuids().map(str),
    folders=st.none() | st.just("previews/") | st.just("a.b/c_d-e/"),
)
def test_a_created_repository_has_a_name_that_ecr_allows_and_that_names_its_class(
    name: str, uid: str, folders: str | None
) -> None:
    spec = {"builds": BUILDS, "images": {"repository": {"prefix": folders} if folders else {}}}
    endpoint_class = EphemeralEndpointClass.model_validate(
        merged(CLASS, {"metadata": {"name": name, "uid": uid}, "spec": spec})
    )
    made = repository_name(CLUSTER, endpoint_class)
    assert ECR_NAME.fullmatch(made)
    assert made.startswith(f"{folders or ''}{prefix(CLUSTER)}")
    assert owner_of(CLUSTER, made) == owner_hash(uid)


def test_a_repository_that_is_there_is_used_by_its_name_and_not_made() -> None:
    endpoint_class = making({"name": "team/models"})
    assert repository_name(CLUSTER, endpoint_class) == "team/models"
    assert desired_repository(CLUSTER, endpoint_class) is None


def test_a_class_that_makes_no_images_gets_no_repository() -> None:
    assert desired_repository(CLUSTER, make_class()) is None


@pytest.mark.parametrize(
    ("region", "domain"),
    [
        ("eu-central-1", "amazonaws.com"),
        ("cn-north-1", "amazonaws.com.cn"),
        ("eusc-de-east-1", "amazonaws.eu"),
    ],
)
def test_what_is_made_there_has_the_uri_of_an_image_in_ecr(region: str, domain: str) -> None:
    endpoint_class = making({"prefix": "previews/"}, region=region)
    uri = repository_uri(CLUSTER, endpoint_class)
    reference = ImageReference.parse(
        BuildTarget(uri, Copy("docker.io/library/m:1", "a" * 40), "linux/amd64", TENANT).image
    )
    assert uri.startswith(f"{ACCOUNT}.dkr.ecr.{region}.{domain}/")
    assert reference.name == uri
    assert reference.repository == repository_name(CLUSTER, endpoint_class)


def test_a_made_repository_is_the_classes_and_its_tags_stay_but_those_of_caches() -> None:
    endpoint_class = making({"kmsKeyArn": KEY})
    resource = desired_repository(CLUSTER, endpoint_class)
    assert resource is not None
    assert resource.key.kind is REPOSITORY
    spec = spec_of(endpoint_class)
    assert (spec.immutable, spec.mutable_prefix, spec.scan_on_push, spec.kms_key_arn) == (True, "cache-", True, KEY)
    assert is_owned(dict(spec.tags), cluster_id=CLUSTER, uid=endpoint_class.metadata.uid)


def test_another_key_is_no_difference_since_it_cannot_change() -> None:
    assert spec_of(making({"kmsKeyArn": KEY})) == spec_of(making())


@pytest.mark.parametrize(
    ("max_ttl", "days", "reason"),
    [
        ("336h", 29, "twice the fourteen days, and one"),
        ("25h", 5, "a day that has begun is a whole one"),
        ("5m", 3, "so has the first"),
        ("8760h", 731, "the longest that there is"),
    ],
)
def test_images_stay_twice_as_long_as_any_object_can(max_ttl: str, days: int, reason: str) -> None:
    lifecycle = {"maxTtl": max_ttl, "defaultTtl": "5m"}
    [*_, last] = json.loads(spec_of(making(lifecycle=lifecycle)).lifecycle_policy)["rules"]
    assert last["selection"]["countNumber"] == days, reason


def test_the_policy_is_one_that_ecr_takes() -> None:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
    text = lifecycle_policy(timedelta(days=14))
    assert 100 <= len(text) <= 30720
    rules = json.loads(text)["rules"]
    assert [rule["rulePriority"] for rule in rules] == [1, 2, 3]
    selections = [rule["selection"] for rule in rules]
    assert [each["tagStatus"] for each in selections] == ["untagged", "tagged", "any"], "the rule for any is the last"
    assert [each.get("tagPrefixList") for each in selections] == [None, ["cache-"], None]
    assert [each["countNumber"] for each in selections] == [1, 14, 29]
    assert {(each["countType"], each["countUnit"]) for each in selections} == {("sinceImagePushed", "days")}
    assert {rule["action"]["type"] for rule in rules} == {"expire"}


def test_a_policy_is_compared_without_its_layout() -> None:
    text = lifecycle_policy(timedelta(days=14))
    assert canonical_policy(json.dumps(json.loads(text), indent=2)) == text
    assert canonical_policy(text) == text


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_what_is_no_policy_is_like_none(text: str) -> None:
    assert canonical_policy(text) == ""
