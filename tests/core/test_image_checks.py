from typing import Any

import pytest

from ephemeral_endpoints.api.image_policy import ScanPolicy
from ephemeral_endpoints.api.model import Platform
from ephemeral_endpoints.core.image_checks import SERVERLESS_BYTES, judged, unfit
from ephemeral_endpoints.core.images import ImageFacts, ImageProblem, ImageState, ScanState, ScanStatus

DIGEST = f"sha256:{'a' * 64}"
COUNTS = {"CRITICAL": 1, "HIGH": 2, "LOW": 9}
FINDINGS = (("CVE-1", "CRITICAL"), ("CVE-2", "HIGH"), ("CVE-3", "HIGH"))


@pytest.mark.parametrize(
    ("facts", "is_serverless", "problem"),
    [
        pytest.param(None, True, None, id="nothing is known"),
        pytest.param(ImageFacts(None, ()), True, None, id="the manifest tells nothing"),
        pytest.param(ImageFacts(SERVERLESS_BYTES, ("linux/amd64",)), True, None, id="it fits exactly"),
        pytest.param(ImageFacts(SERVERLESS_BYTES + 1, ()), True, ImageProblem.TOO_LARGE, id="too large"),
        pytest.param(ImageFacts(SERVERLESS_BYTES + 1, ()), False, None, id="instances take it"),
        pytest.param(ImageFacts(1, ("linux/arm64",)), True, ImageProblem.OTHER_PLATFORM, id="another platform"),
        pytest.param(ImageFacts(1, ("linux/arm64", "linux/amd64")), True, None, id="several platforms"),
    ],
)
def test_what_sagemaker_can_run(facts: ImageFacts | None, *, is_serverless: bool, problem: ImageProblem | None) -> None:
    found = unfit(ImageState(DIGEST, facts=facts), platform=Platform.AMD64, is_serverless=is_serverless)
    assert (found.problem if found else None) is problem


@pytest.mark.parametrize(
    ("policy", "problem", "told"),
    [
        pytest.param({}, ImageProblem.VULNERABLE, "1 critical findings: CVE-1 (critical)", id="critical ones"),
        pytest.param({"severity": "High"}, ImageProblem.VULNERABLE, "1 critical, 2 high", id="and high ones"),
        pytest.param({"ignored": ["CVE-1"]}, None, "", id="the only one is ignored"),
        pytest.param({"severity": "High", "ignored": ["CVE-1"]}, ImageProblem.VULNERABLE, "2 high", id="others count"),
    ],
)
def test_what_was_found_holds_an_image_back(policy: dict[str, Any], problem: ImageProblem | None, told: str) -> None:
    found = judged(ScanState(ScanStatus.COMPLETE, COUNTS, FINDINGS), ScanPolicy.model_validate(policy))
    assert (found.problem if found else None) is problem
    assert told in (found.message if found else "")


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
