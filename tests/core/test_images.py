import pytest
from tests.core.objects import ACCOUNT, DIGEST, OTHER_DIGEST, REGISTRY

from ephemeral_endpoints.core.images import ImageProblem, ImageReference, refusal


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"{REGISTRY}/m:1", ImageReference(REGISTRY, ACCOUNT, "us-east-1", "m", "1", None)),
        (f"{REGISTRY}/a/b@{DIGEST}", ImageReference(REGISTRY, ACCOUNT, "us-east-1", "a/b", None, DIGEST)),
        (
            f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/m:1",
            ImageReference(f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn", ACCOUNT, "cn-north-1", "m", "1", None),
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


def test_a_refusal_says_what_would_be_taken() -> None:
    found = refusal(ImageReference.parse(f"{OTHER}:1"), region="us-east-1", account=ACCOUNT, allowed=())
    assert found is not None
    assert OTHER in found.message
    assert ACCOUNT in found.message
