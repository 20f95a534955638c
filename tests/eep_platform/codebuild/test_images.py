import json
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from tests.eep_platform.codebuild.conftest import ECR, CodeBuild, Source, context, phases
from tests.fixtures.containers import MODEL

from eep_platform.containers.image import architecture

LOGIN = [
    f"aws ecr get-login-password --region us-east-1 | docker login --username AWS --password-stdin {ECR}",
    "docker buildx create --use --driver docker-container",
]


@pytest.fixture
def repository(codebuild: CodeBuild) -> Iterator[str]:
    """The name of a repository of its own."""
    ecr = codebuild.aws.client("ecr")
    name = f"built/{uuid4().hex[:8]}"
    ecr.create_repository(repositoryName=name)
    yield name
    ecr.delete_repository(repositoryName=name, force=True)


def tags(codebuild: CodeBuild, repository: str) -> dict[str, str]:
    """The digest by tag."""
    images = codebuild.aws.client("ecr").list_images(repositoryName=repository)["imageIds"]
    return {image["imageTag"]: image["imageDigest"] for image in images if "imageTag" in image}


def buildx(repository: str, *options: str, context_: str = "model") -> str:
    common = f"--progress plain --platform linux/{architecture()} --provenance false --sbom=false"
    cache = f"--cache-from type=registry,ref={ECR}/{repository}:cache-1"
    return f"docker buildx build {common} {cache} {' '.join(options)} {context_}"


def image_spec(build: str, post_build: str) -> str:
    abort = {"on-failure": "ABORT"}
    return json.dumps(
        {
            "version": 0.2,
            "env": {"variables": {"SOURCE_DATE_EPOCH": "0"}},
            "phases": {
                "pre_build": {**abort, "commands": LOGIN},
                "build": {**abort, "commands": [build]},
                "post_build": {**abort, "commands": [post_build]},
            },
        }
    )


def test_the_models_image_is_built_of_its_commit_and_pushed(
    codebuild: CodeBuild, repository: str, source_of: Callable[..., Source]
) -> None:
    source = source_of({"model": MODEL})
    of_model = f"--file model/Dockerfile --build-arg MODEL_REVISION={source.sha}"
    to_cache = f"--cache-to type=registry,ref={ECR}/{repository}:cache-1,mode=max,image-manifest=true"
    push = f"--tag {ECR}/{repository}:v7 --output type=image,push=true,oci-mediatypes=false,rewrite-timestamp=true"
    buildspec = image_spec(
        buildx(repository, of_model, "--output type=cacheonly"), buildx(repository, of_model, to_cache, push)
    )
    build = codebuild.run(buildspec, **source.override)
    log = codebuild.log(build)
    assert build["buildStatus"] == "SUCCEEDED", log
    assert build["resolvedSourceVersion"] == source.sha
    found = tags(codebuild, repository)
    assert set(found) == {"v7", "cache-1"}
    assert found["v7"] != found["cache-1"]
    assert "Login Succeeded" in log
    assert any(found["v7"] in line for line in log)
    assert list(phases(build)) == [
        *("SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD"),
        *("BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED"),
    ]
    assert context(build, "BUILD") == ("", "")


def test_what_cannot_be_built_fails_its_phase_with_the_reason_in_the_log(
    codebuild: CodeBuild, repository: str, source_of: Callable[..., Source]
) -> None:
    source = source_of(files={"model/Dockerfile": "FROM debian:12\n"})
    command = buildx(repository, "--file model/Dockerfile --output type=cacheonly")
    build = codebuild.run(image_spec(command, "true"), **source.override)
    assert build["buildStatus"] == "FAILED"
    assert context(build, "BUILD") == (
        "COMMAND_EXECUTION_ERROR",
        f"Error while executing command: {command}. Reason: exit status 1",
    )
    log = codebuild.log(build)
    assert any(line.startswith("ERROR: failed to solve: Dockerfile: line 1: FROM debian:12") for line in log)
    assert any("cache-1: ERROR: not found" in line for line in log)
