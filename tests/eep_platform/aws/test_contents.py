import json

from tests.fixtures.platform import Aws

from eep_platform.aws.contents import contents


def test_of_repositories_those_are_shown_that_an_operator_could_have_made(fresh_aws: Aws) -> None:
    ecr = fresh_aws.client("ecr")
    for name in ("models", "team/models", "eep-c1-default-abcdefghij", "previews/eep-c1-default-abcdefghij"):
        ecr.create_repository(repositoryName=name)
    assert contents(fresh_aws.client) == {
        "Repository": ["eep-c1-default-abcdefghij", "previews/eep-c1-default-abcdefghij"]
    }


def test_a_tag_that_moves_is_listed_at_the_newer_image_alone(fresh_aws: Aws) -> None:
    """See https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html."""
    ecr = fresh_aws.client("ecr")
    ecr.create_repository(repositoryName="models")

    def push(content: int, tag: str) -> str:
        manifest = json.dumps({"schemaVersion": 2, "config": {"size": content}, "layers": []})
        answer = ecr.put_image(repositoryName="models", imageManifest=manifest, imageTag=tag)
        return str(answer["image"]["imageId"]["imageDigest"])

    older, newer = push(1, "cache-main"), push(2, "cache-main")
    push(2, "v2")
    assert sorted(ecr.list_images(repositoryName="models")["imageIds"], key=str) == sorted(
        [
            {"imageDigest": older},
            {"imageDigest": newer, "imageTag": "cache-main"},
            {"imageDigest": newer, "imageTag": "v2"},
        ],
        key=str,
    )
    untagged = ecr.list_images(repositoryName="models", filter={"tagStatus": "UNTAGGED"})["imageIds"]
    assert untagged == [{"imageDigest": older}]
