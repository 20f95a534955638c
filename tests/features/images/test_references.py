import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.objects import ACCOUNT, DIGEST, OTHER_DIGEST, REGISTRY

from ephemeral_endpoints.api.v1alpha1.ecr import Registry
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.images.references import (
    MOST_FINDINGS,
    ImageFacts,
    ImageReference,
    facts_of_manifest,
    refusal,
    worst_first,
)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"{REGISTRY}/m:1", ImageReference(Registry(ACCOUNT, "us-east-1"), "m", "1", None)),
        (f"{REGISTRY}/a/b@{DIGEST}", ImageReference(Registry(ACCOUNT, "us-east-1"), "a/b", None, DIGEST)),
        (
            f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/m:1",
            ImageReference(Registry(ACCOUNT, "cn-north-1"), "m", "1", None),
        ),
    ],
)
def test_a_uri_has_its_parts(uri: str, expected: ImageReference) -> None:
    assert ImageReference.parse(uri) == expected


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("", "nothing"),
        (f"{REGISTRY}/m", "neither a tag nor a digest"),
        (f"{REGISTRY}/m:", "an empty tag"),
        (f"{REGISTRY}/m@sha256:abc", "a digest that is too short"),
        (f"{REGISTRY}/m:1@{DIGEST}", "both: which one is meant?"),
        ("docker.io/library/m:1", "not in ECR"),
        ("public.ecr.aws/x/m:1", "SageMaker does not pull from the public gallery"),
        (f"{REGISTRY}.evil.example/m:1", "a host that begins like ECR's"),
        (f"evil.example/{REGISTRY}/m:1", "a host that ends like ECR's"),
        ("\u0661" * 12 + ".dkr.ecr.us-east-1.amazonaws.com/m:1", "digits of another script"),
    ],
)
def test_what_is_not_a_uri_of_an_image_in_ecr_is_refused(uri: str, reason: str) -> None:
    with pytest.raises(ValueError, match="not the URI of an ECR image"):
        print(ImageReference.parse(uri), reason)  # noqa: T201 - shown when nothing is raised


@pytest.mark.parametrize(
    "host",
    [
        f"{ACCOUNT}.dkr.ecr-fips.us-east-1.amazonaws.com",
        f"{ACCOUNT}.dkr-ecr.us-east-1.on.aws",
        f"{ACCOUNT}.dkr-ecr-fips.us-east-1.on.aws",
    ],
)
def test_by_whatever_name_a_registry_is_called_its_images_are_pinned_by_the_one_that_sagemaker_knows(host: str) -> None:
    reference = ImageReference.parse(f"{host}/m:1")
    assert reference.pinned(DIGEST) == f"{REGISTRY}/m@{DIGEST}"
    assert refusal(reference, region="us-east-1", account=ACCOUNT, allowed=(f"{REGISTRY}/m",)) is None


@pytest.mark.parametrize("uri", [f"{REGISTRY}/a/b:1", f"{REGISTRY}/a/b@{OTHER_DIGEST}"])
def test_a_pinned_image_is_one_image_for_good(uri: str) -> None:
    assert ImageReference.parse(uri).pinned(DIGEST) == f"{REGISTRY}/a/b@{DIGEST}"


OTHER = "210987654321.dkr.ecr.us-east-1.amazonaws.com/models/m"


@pytest.mark.parametrize(
    ("repository", "allowed", "problem", "reason"),
    [
        (f"{REGISTRY}/models/m", (), None, "the class's own account"),
        (OTHER, (), ImageProblem.NOT_ALLOWED, "another account is allowed by name only"),
        (OTHER, (f"{REGISTRY}/*", OTHER), None, "one of several patterns"),
        (f"{REGISTRY}/models/m", (OTHER,), ImageProblem.NOT_ALLOWED, "a list replaces the default"),
        (f"{REGISTRY}/models/a/b", (f"{REGISTRY}/models/*",), None, "* stands for slashes too"),
        (f"{REGISTRY}/modelsx/m", (f"{REGISTRY}/models/*",), ImageProblem.NOT_ALLOWED, "beside the folder"),
        (f"{REGISTRY}/x/models/m", (f"{REGISTRY}/models/*",), ImageProblem.NOT_ALLOWED, "the whole must fit"),
        (f"{REGISTRY}/m1", (f"{REGISTRY}/m?",), None, "? stands for one"),
        (f"{REGISTRY}/m12", (f"{REGISTRY}/m?",), ImageProblem.NOT_ALLOWED, "for one only"),
        (
            f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/m",
            (f"{ACCOUNT}.dkr.ecr.*",),
            ImageProblem.OTHER_REGION,
            "no list makes SageMaker read another region",
        ),
    ],
)
def test_a_class_takes_what_its_list_allows_in_its_own_region(
    repository: str, allowed: tuple[str, ...], problem: ImageProblem | None, reason: str
) -> None:
    found = refusal(ImageReference.parse(f"{repository}:1"), region="us-east-1", account=ACCOUNT, allowed=allowed)
    assert (found.problem if found else None) == problem, reason
    assert found is None or (found.digest is None and found.message)


def test_images_of_another_class_are_taken_only_if_they_are_listed() -> None:
    reference = ImageReference.parse(f"{REGISTRY}/eep-c1-b-abcdefghij:1")
    judged = partial(refusal, reference, region="us-east-1", account=ACCOUNT)
    found = judged(allowed=(), is_of_other_class=True)
    assert found
    assert "it belongs to another class" in found.message
    assert judged(allowed=(reference.name,), is_of_other_class=True) is None
    assert judged(allowed=()) is None


def test_a_refusal_says_what_would_be_taken() -> None:
    found = refusal(ImageReference.parse(f"{OTHER}:1"), region="us-east-1", account=ACCOUNT, allowed=())
    assert found is not None
    assert OTHER in found.message
    assert ACCOUNT in found.message


def part(size: Any) -> dict[str, Any]:  # noqa: ANN401 - malformed ones too
    return {"mediaType": "application/octet-stream", "digest": DIGEST, "size": size}


def entry(**platform: Any) -> dict[str, Any]:  # noqa: ANN401 - malformed ones too
    return {"digest": DIGEST, "size": 1, "platform": platform}


AMD64 = {"os": "linux", "architecture": "amd64"}


@pytest.mark.parametrize(
    ("manifest", "expected", "reason"),
    [
        (
            {"config": part(2), "layers": [part(3), part(4)]},
            ImageFacts(size_bytes=9, config=DIGEST, layers=(DIGEST, DIGEST)),
            "the configuration and all layers",
        ),
        ({"config": part(2), "layers": []}, ImageFacts(size_bytes=2, config=DIGEST), "an image from scratch"),
        (
            {"manifests": [entry(**AMD64), entry(os="linux", architecture="arm", variant="v7")]},
            ImageFacts(images=(("linux/amd64", DIGEST), ("linux/arm/v7", DIGEST))),
            "an index has images, and no size",
        ),
        (
            {"manifests": [entry(os="linux", architecture="arm64", variant="v8")]},
            ImageFacts(images=(("linux/arm64", DIGEST),)),
            "there is no other variant of it",
        ),
        ({"manifests": [entry(**AMD64, variant=["v2"])]}, ImageFacts(), "a variant that is none"),
        (
            {"manifests": [entry(**AMD64), entry(os="unknown", architecture="unknown"), entry(**AMD64)]},
            ImageFacts(images=(("linux/amd64", DIGEST),)),
            "attestations are no images, and nothing counts twice",
        ),
        ({"manifests": []}, ImageFacts(), "an empty index"),
        ({"manifests": [{"digest": "sha256:1", "platform": AMD64}]}, ImageFacts(), "a digest that is none"),
        ({"schemaVersion": 1, "fsLayers": []}, ImageFacts(), "the first schema has no sizes"),
        ({"layers": [part(1)]}, ImageFacts(), "no configuration"),
        ({"config": part(1), "layers": [part(-1)]}, ImageFacts(), "a size below nothing"),
        ({"config": part(1), "layers": [part(size=True)]}, ImageFacts(), "a size that is none"),
        ({"config": part(1), "layers": [part("1")]}, ImageFacts(), "a size that is text"),
        ({"config": part(1), "layers": ["a"]}, ImageFacts(), "a layer that is none"),
        ({"config": 1, "layers": {}}, ImageFacts(), "nothing is what it should be"),
        ({"manifests": ["a", {"platform": 1}, entry(os=1, architecture="amd64"), entry()]}, ImageFacts(), "likewise"),
        ({"manifests": [entry(os="linux", architecture="amd64\n!")]}, ImageFacts(), "a platform that is no word"),
        ([1], ImageFacts(), "no mapping"),
    ],
)
def test_the_facts_of_a_manifest(manifest: object, expected: ImageFacts, reason: str) -> None:
    assert facts_of_manifest(json.dumps(manifest)) == expected, reason


def test_an_index_of_very_many_platforms_is_cut_short() -> None:
    entries = [entry(os="linux", architecture=f"a{number}") for number in range(1000)]
    assert len(facts_of_manifest(json.dumps({"manifests": entries})).images) == 20


def test_the_media_type_is_that_by_which_ecr_knows_the_manifest() -> None:
    for manifest in ('{"mediaType": "a", "layers": []}', '{"manifests": []}', "[]", "{"):
        assert facts_of_manifest(manifest, "b").media_type == "b"


def test_of_an_index_the_image_for_a_platform_is_told() -> None:
    facts = ImageFacts(images=(("linux/amd64", DIGEST), ("linux/arm64", OTHER_DIGEST)))
    found = [facts.digest_for(platform) for platform in ("linux/amd64", "linux/arm64", "linux/s390x")]
    assert found == [DIGEST, OTHER_DIGEST, None]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["config", "layers", "manifests", "size", "platform", "os"]), inner, max_size=3
        )
    ),
    max_leaves=10,
)


@given(manifest=st.text(max_size=50) | JSON.map(json.dumps))
def test_no_manifest_is_so_bad_that_it_cannot_be_read(manifest: str) -> None:
    facts = facts_of_manifest(manifest)
    assert facts.size_bytes is None or facts.size_bytes >= 0


@pytest.mark.parametrize("manifest", ["[" * 100_000, '{"config": {"size": ' + "9" * 5000 + '}, "layers": []}'])
def test_an_unreadable_manifest_has_no_facts(manifest: str) -> None:
    assert facts_of_manifest(manifest) == ImageFacts()


def test_of_findings_the_worst_are_kept_each_once() -> None:
    severities = ["INFORMATIONAL", "ODD", "LOW", "CRITICAL", "MEDIUM", "HIGH", "HIGH"]
    kept = worst_first((f"CVE-{severity}", severity) for severity in severities)
    assert [severity for _, severity in kept] == ["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "ODD"]
    assert len(worst_first((str(number), "LOW") for number in range(1000))) == MOST_FINDINGS
