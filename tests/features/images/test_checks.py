import json
from typing import Any

import pytest

from ephemeral_endpoints.api.v1alpha1.image_build import Platform
from ephemeral_endpoints.api.v1alpha1.image_policy import ScanPolicy
from ephemeral_endpoints.features.images.checks import (
    SERVERLESS_BYTES,
    judged,
    push_again,
    replaced,
    unfit,
    without_entrypoint,
)
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.images.references import (
    ImageFacts,
    ImageReference,
    ImageState,
    ScanState,
    ScanStatus,
)

DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
AMD64, ARM64 = (("linux/amd64", DIGEST),), (("linux/arm64", DIGEST),)
COUNTS = {"CRITICAL": 1, "HIGH": 2, "LOW": 9}
FINDINGS = (("CVE-1", "CRITICAL"), ("CVE-2", "HIGH"), ("CVE-3", "HIGH"))


@pytest.mark.parametrize(
    ("pushed", "is_replaced"),
    [
        pytest.param({DIGEST}, False, id="it is what was pushed"),
        pytest.param({OTHER, DIGEST}, False, id="by one of two builds"),
        pytest.param({OTHER}, True, id="somebody pushed another one"),
        pytest.param(set(), False, id="the builder has forgotten"),
    ],
)
def test_an_image_is_served_only_if_its_build_has_pushed_it(pushed: set[str], is_replaced: bool) -> None:  # noqa: FBT001
    made = ImageReference.parse("123456789012.dkr.ecr.us-east-1.amazonaws.com/previews:copy-a")
    found = replaced(made, ImageState(digest=DIGEST), pushed)
    assert (found is not None and found.problem is ImageProblem.REPLACED) == is_replaced


@pytest.mark.parametrize(
    ("facts", "is_serverless", "problem"),
    [
        pytest.param(None, True, None, id="nothing is known"),
        pytest.param(ImageFacts(), True, None, id="a manifest without facts"),
        pytest.param(ImageFacts(DOCKER, SERVERLESS_BYTES), True, None, id="it fits exactly"),
        pytest.param(ImageFacts(DOCKER, SERVERLESS_BYTES + 1), True, ImageProblem.TOO_LARGE, id="too large"),
        pytest.param(ImageFacts(DOCKER, SERVERLESS_BYTES + 1), False, None, id="instances take it"),
        pytest.param(ImageFacts(DOCKER_INDEX, images=ARM64), True, ImageProblem.OTHER_PLATFORM, id="another platform"),
        pytest.param(ImageFacts(OCI, 1), False, ImageProblem.MANIFEST, id="an OCI image"),
        pytest.param(ImageFacts(OCI_INDEX), False, ImageProblem.MANIFEST, id="an index without platforms"),
        pytest.param(ImageFacts(DOCKER_INDEX, images=AMD64), False, ImageProblem.MANIFEST, id="an index in an index"),
        pytest.param(ImageFacts("application/new", 1), True, None, id="SageMaker judges what nobody has reported"),
    ],
)
def test_what_sagemaker_can_run(facts: ImageFacts | None, *, is_serverless: bool, problem: ImageProblem | None) -> None:
    state = ImageState(DIGEST, facts=facts)
    found = unfit(state, platform=Platform.AMD64, is_serverless=is_serverless, remedy="push it again")
    assert (found.problem if found else None) is problem


def test_a_manifest_that_sagemaker_refuses_is_told_with_the_words_that_push_another() -> None:
    remedy = push_again(Platform.ARM64)
    found = unfit(
        ImageState(DIGEST, facts=ImageFacts(OCI)), platform=Platform.ARM64, is_serverless=False, remedy=remedy
    )
    assert found is not None
    assert OCI in found.message
    command = "docker buildx build --platform linux/arm64 --provenance=false --sbom=false"
    assert f"{command} --output type=image,push=true,oci-mediatypes=false" in found.message


@pytest.mark.parametrize(
    ("command", "line", "reason"),
    [
        (("gunicorn", "-b", "0.0.0.0:8080", "a b"), "exec gunicorn -b 0.0.0.0:8080 'a b'", "words, quoted"),
        (("/bin/sh", "-c", "python app.py"), "python app.py", "the shell form of CMD"),
    ],
)
def test_without_an_entrypoint_the_line_to_add_is_told(command: tuple[str, ...], line: str, reason: str) -> None:
    state = without_entrypoint(command)
    assert state.problem is ImageProblem.NO_ENTRYPOINT
    assert f"ENTRYPOINT {json.dumps(['/bin/sh', '-c', line])}" in state.message, reason


@pytest.mark.parametrize("command", [(), ("x" * 1000,)], ids=["no CMD", "a CMD as long as a page"])
def test_without_a_command_to_show_the_line_to_add_is_a_pattern(command: tuple[str, ...]) -> None:
    assert 'ENTRYPOINT ["<program>"]' in without_entrypoint(command).message


@pytest.mark.parametrize(
    ("policy", "problem", "reported"),
    [
        pytest.param({}, ImageProblem.VULNERABLE, "(1 critical): CVE-1 (critical)", id="critical ones"),
        pytest.param({"severity": "High"}, ImageProblem.VULNERABLE, "1 critical, 2 high", id="and high ones"),
        pytest.param({"ignored": ["CVE-1"]}, None, "", id="the only one is ignored"),
        pytest.param({"severity": "High", "ignored": ["CVE-1"]}, ImageProblem.VULNERABLE, "2 high", id="others count"),
    ],
)
def test_what_was_found_holds_an_image_back(
    policy: dict[str, Any], problem: ImageProblem | None, reported: str
) -> None:
    found = judged(ScanState(ScanStatus.COMPLETE, COUNTS, FINDINGS), ScanPolicy.model_validate(policy))
    assert (found.problem if found else None) is problem
    assert reported in (found.message if found else "")


def test_counts_alone_hold_an_image_back() -> None:
    found = judged(ScanState(ScanStatus.COMPLETE, {"CRITICAL": 1}), ScanPolicy())
    assert found is not None
    assert found.problem is ImageProblem.VULNERABLE


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        pytest.param(ScanStatus.RUNNING, ImageProblem.SCANNING, id="not yet"),
        pytest.param(ScanStatus.NOT_SCANNED, ImageProblem.NOT_SCANNED, id="nobody scans"),
        pytest.param(ScanStatus.UNSUPPORTED, ImageProblem.NOT_SCANNED, id="it cannot be scanned"),
        pytest.param(ScanStatus.COMPLETE, None, id="nothing was found"),
    ],
)
def test_an_image_waits_for_its_scan(status: ScanStatus, problem: ImageProblem | None) -> None:
    found = judged(ScanState(status), ScanPolicy())
    assert (found.problem if found else None) is problem
