import asyncio
import gzip
import hashlib
import io
import json
import tarfile
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from botocore.stub import Stubber
from tests.aws.cloud import Cloud

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.images.references import ImageFacts, ImageReference, ScanState, ScanStatus
from ephemeral_endpoints.features.images.registry import Images

ABSENT = "sha256:" + "0" * 64
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


class Registry:
    """The registry's HTTP interface (https://github.com/opencontainers/distribution-spec), as a builder uses it."""

    def __init__(self, cloud: Cloud) -> None:
        self._base = f"{cloud.aws.endpoint}/v2/models"

    def push_image(self, tag: str) -> str:
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w"):
            pass
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob("application/vnd.oci.image.config.v1+json", config.encode()),
            "layers": [
                self._blob("application/vnd.oci.image.layer.v1.tar+gzip", gzip.compress(layer.getvalue(), mtime=0))
            ],
        }
        return self._manifest(tag, MANIFEST, document)

    def manifest(self, digest: str) -> bytes:
        return requests.get(f"{self._base}/manifests/{digest}", headers={"Accept": MANIFEST}, timeout=60).content

    def push_index(self, tag: str, image: str) -> str:
        size = len(self.manifest(image))
        platform = {"os": "linux", "architecture": "amd64"}
        entry = {"mediaType": MANIFEST, "digest": image, "size": size, "platform": platform}
        return self._manifest(tag, INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})

    def _blob(self, media_type: str, content: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        begun = requests.post(f"{self._base}/blobs/uploads/", timeout=60)
        target = requests.compat.urljoin(begun.url, begun.headers["Location"])
        requests.put(target, params={"digest": digest}, data=content, timeout=60).raise_for_status()
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def _manifest(self, tag: str, media_type: str, document: dict[str, object]) -> str:
        content = json.dumps(document).encode()
        answer = requests.put(
            f"{self._base}/manifests/{tag}", data=content, headers={"Content-Type": media_type}, timeout=60
        )
        answer.raise_for_status()
        return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def registry(cloud: Cloud) -> Registry:
    cloud.clients.ecr.create_repository(repositoryName="models")
    return Registry(cloud)


def reference(cloud: Cloud, name: str) -> ImageReference:
    return ImageReference.parse(f"{cloud.scope.account_id}.dkr.ecr.{cloud.scope.region}.amazonaws.com/{name}")


async def test_a_pushed_image_is_found_by_its_tag_and_by_its_digest(cloud: Cloud, registry: Registry) -> None:
    digest = registry.push_image("1.0")
    for name in ("models:1.0", f"models@{digest}"):
        state = await Images(cloud.clients.ecr).resolve(cloud.calls, reference(cloud, name))
        assert (state.digest, state.problem) == (digest, None), name


async def test_what_many_ask_of_one_repository_meanwhile_is_one_call_and_each_has_its_answer(
    cloud: Cloud, registry: Registry
) -> None:
    digest = registry.push_image("1.0")
    names = ["models:1.0", f"models@{digest}", "models:absent", f"models@{ABSENT}", "other:1.0"]
    images = Images(cloud.clients.ecr)
    cloud.aws.control.reset_meter()
    states = await asyncio.gather(*(images.resolve(cloud.calls, reference(cloud, name)) for name in names))
    assert [state.digest for state in states] == [digest, digest, None, None, None]
    assert cloud.aws.control.calls()["ecr"] == {"BatchGetImage": 2}, "one for each repository"


async def test_an_image_of_two_tags_is_found_by_each_although_the_answer_names_one(
    cloud: Cloud, registry: Registry
) -> None:
    digest = registry.push_image("1.0")
    registry.push_image("2.0")
    images = Images(cloud.clients.ecr)
    names = ("models:1.0", "models:2.0")
    states = await asyncio.gather(*(images.resolve(cloud.calls, reference(cloud, name)) for name in names))
    assert [state.digest for state in states] == [digest, digest]


async def test_a_tag_that_moved_resolves_to_where_it_points_now(cloud: Cloud, registry: Registry) -> None:
    image = registry.push_image("latest")
    index = registry.push_index("latest", image)
    state = await Images(cloud.clients.ecr).resolve(cloud.calls, reference(cloud, "models:latest"))
    assert state.digest == index != image


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("models:absent", "models:absent is not in ECR: push the image"),
        (f"models@{ABSENT}", f"models@{ABSENT} is not in ECR: push the image"),
        ("other:1.0", "the repository other does not exist in account 000000000000"),
    ],
)
async def test_what_is_missing_is_said_and_no_error(cloud: Cloud, registry: Registry, name: str, message: str) -> None:
    registry.push_image("1.0")
    state = await Images(cloud.clients.ecr).resolve(cloud.calls, reference(cloud, name))
    assert (state.digest, state.problem) == (None, ImageProblem.NOT_FOUND)
    assert message in state.message


async def test_a_refusal_is_an_error_and_not_a_missing_image(cloud: Cloud) -> None:
    refusal = FaultError(code="AccessDeniedException", message="no", status=400)
    cloud.aws.control.add_faults(Fault(service="ecr", error=refusal))
    with pytest.raises(errors.Denied):
        await Images(cloud.clients.ecr).resolve(cloud.calls, reference(cloud, "models:1.0"))


@pytest.mark.parametrize(("failed", "message"), [(1, "the key is disabled"), (0, "ECR did not answer about ab:1")])
async def test_an_image_that_cannot_be_judged_is_not_taken_for_missing(
    calls: Calls, clients: Clients, failed: int, message: str
) -> None:
    # No emulator fails this way: the answer is ECR's, with a code that says nothing about the image.
    failures = [{"imageId": {"imageTag": "1"}, "failureCode": "KmsError", "failureReason": "the key is disabled"}]
    with Stubber(clients.ecr) as stubber:
        stubber.add_response("batch_get_image", {"images": [], "failures": failures[:failed]})
        with pytest.raises(errors.Transient, match=message):
            await Images(clients.ecr).resolve(
                calls, ImageReference.parse(f"{'0' * 12}.dkr.ecr.us-east-1.amazonaws.com/ab:1")
            )


async def test_a_manifest_has_the_size_of_an_image_and_an_index_its_images(cloud: Cloud, registry: Registry) -> None:
    digest = registry.push_image("1.0")
    registry.push_index("index", digest)
    images = Images(cloud.clients.ecr)
    found = [await images.resolve(cloud.calls, reference(cloud, f"models:{tag}")) for tag in ("1.0", "index")]
    manifest = json.loads(registry.manifest(digest))
    size = manifest["config"]["size"] + manifest["layers"][0]["size"]
    image = ImageFacts(
        MANIFEST,
        size_bytes=size,
        config=manifest["config"]["digest"],
        layers=tuple(layer["digest"] for layer in manifest["layers"]),
    )
    index = ImageFacts(INDEX, images=(("linux/amd64", digest),))
    assert [each.facts for each in found] == [image, index]


def finding(name: str, severity: str) -> dict[str, Any]:
    """As basic scanning reports it."""
    return {"name": name, "severity": severity}


def enhanced(name: str, severity: str) -> dict[str, Any]:
    """As Amazon Inspector reports it."""
    return {"packageVulnerabilityDetails": {"vulnerabilityId": name}, "severity": severity}


def scanned(status: str, description: str = "", **findings: Any) -> dict[str, Any]:  # noqa: ANN401 - of ECR's answer
    """An answer to DescribeImageScanFindings."""
    reported = {"imageScanStatus": {"status": status, "description": description}}
    return {**reported, "imageScanFindings": findings} if findings else reported


SCANS: list[tuple[str, dict[str, Any], ScanState]] = [
    (
        "basic scanning repeats a finding for every package; the worst come first",
        scanned(
            "COMPLETE",
            findings=[finding("CVE-1", "LOW"), finding("CVE-2", "CRITICAL"), finding("CVE-2", "CRITICAL")],
            findingSeverityCounts={"LOW": 1, "CRITICAL": 2},
        ),
        ScanState(ScanStatus.COMPLETE, {"LOW": 1, "CRITICAL": 1}, (("CVE-2", "CRITICAL"), ("CVE-1", "LOW"))),
    ),
    (
        "what is counted and not named counts too",
        scanned("COMPLETE", findings=[finding("CVE-1", "LOW")], findingSeverityCounts={"LOW": 1, "CRITICAL": 2}),
        ScanState(ScanStatus.COMPLETE, {"LOW": 1, "CRITICAL": 2}, (("CVE-1", "LOW"),)),
    ),
    (
        "continuous scanning is never over",
        scanned(
            "ACTIVE",
            enhancedFindings=[enhanced("CVE-1", "UNTRIAGED"), enhanced("CVE-2", "HIGH")],
            findingSeverityCounts={"UNTRIAGED": 1, "HIGH": 1},
        ),
        ScanState(ScanStatus.COMPLETE, {"UNTRIAGED": 1, "HIGH": 1}, (("CVE-2", "HIGH"), ("CVE-1", "UNTRIAGED"))),
    ),
    (
        "what is no vulnerability of a package has a title only",
        scanned("ACTIVE", enhancedFindings=[{"title": "Hardcoded key", "severity": "HIGH"}]),
        ScanState(ScanStatus.COMPLETE, {"HIGH": 1}, (("Hardcoded key", "HIGH"),)),
    ),
    ("a clean image", scanned("COMPLETE", findings=[], findingSeverityCounts={}), ScanState(ScanStatus.COMPLETE)),
    ("a scan under way", scanned("IN_PROGRESS"), ScanState(ScanStatus.RUNNING)),
    ("a scan that has not begun", scanned("PENDING"), ScanState(ScanStatus.RUNNING)),
    ("an image that ECR cannot look into", scanned("UNSUPPORTED_IMAGE"), ScanState(ScanStatus.UNSUPPORTED)),
    (
        "an operating system that basic scanning does not know",
        scanned("FAILED", "UnsupportedImageError: The operating system is not supported."),
        ScanState(ScanStatus.UNSUPPORTED),
    ),
    ("a scan that failed", scanned("FAILED", "InternalError"), ScanState(ScanStatus.NOT_SCANNED)),
    ("findings that are too old", scanned("SCAN_ELIGIBILITY_EXPIRED"), ScanState(ScanStatus.NOT_SCANNED)),
    ("a word that is new", scanned("SOMETHING_NEW"), ScanState(ScanStatus.NOT_SCANNED)),
    ("nothing", {}, ScanState(ScanStatus.NOT_SCANNED)),
]

NAMED = ImageReference.parse(f"{'0' * 12}.dkr.ecr.us-east-1.amazonaws.com/models:1")


@pytest.mark.parametrize(("answer", "expected"), [row[1:] for row in SCANS], ids=[row[0] for row in SCANS])
async def test_what_scans_have_found_is_understood(
    calls: Calls, clients: Clients, answer: dict[str, Any], expected: ScanState
) -> None:
    with Stubber(clients.ecr) as stubber:
        stubber.add_response("describe_image_scan_findings", answer)
        assert await Images(clients.ecr).scan(calls, NAMED, ABSENT) == expected


async def test_the_worst_findings_of_all_pages_are_kept(calls: Calls, clients: Clients) -> None:
    asked = {
        "registryId": NAMED.registry.account,
        "repositoryName": "models",
        "imageId": {"imageDigest": ABSENT},
        "maxResults": 1000,
    }
    low = [finding(f"CVE-{number:03}", "LOW") for number in range(150)]
    first = scanned("COMPLETE", findings=low, findingSeverityCounts={"LOW": 150, "HIGH": 1})
    with Stubber(clients.ecr) as stubber:
        stubber.add_response("describe_image_scan_findings", {**first, "nextToken": "more"}, asked)
        second = scanned("COMPLETE", findings=[finding("CVE-999", "HIGH")])
        stubber.add_response("describe_image_scan_findings", second, {**asked, "nextToken": "more"})
        state = await Images(clients.ecr).scan(calls, NAMED, ABSENT)
    assert state.counts == {"LOW": 150, "HIGH": 1}
    assert state.findings[:2] == (("CVE-999", "HIGH"), ("CVE-000", "LOW"))
    assert len(state.findings) == 100


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ScanNotFoundException", ScanStatus.NOT_SCANNED),
        ("ImageNotFoundException", ScanStatus.NOT_SCANNED),
        ("UnsupportedImageTypeException", ScanStatus.UNSUPPORTED),
    ],
)
async def test_an_image_without_a_scan_is_no_error(cloud: Cloud, code: str, expected: ScanStatus) -> None:
    cloud.aws.control.add_faults(Fault(service="ecr", error=FaultError(code=code, message="no", status=400)))
    state = await Images(cloud.clients.ecr).scan(cloud.calls, reference(cloud, "models:1.0"), ABSENT)
    assert state == ScanState(expected)


async def test_a_scan_that_cannot_be_read_is_an_error(cloud: Cloud) -> None:
    refusal = FaultError(code="ValidationException", message="no", status=400)
    cloud.aws.control.add_faults(Fault(service="ecr", error=refusal))
    with pytest.raises(errors.Invalid):
        await Images(cloud.clients.ecr).scan(cloud.calls, reference(cloud, "models:1.0"), ABSENT)


async def test_images_with_tags_are_listed_and_go_with_their_last_tag(cloud: Cloud, registry: Registry) -> None:
    images = Images(cloud.clients.ecr)
    before = datetime.now(UTC).replace(microsecond=0)
    one = registry.push_image("1.0")
    registry.push_image("2.0")
    index = registry.push_index("index", one)
    untagged = registry.push_index("index", index)
    found = {image.digest: image for image in await images.list_tagged(cloud.calls, "models")}
    assert {digest: image.tags for digest, image in found.items()} == {one: ("1.0", "2.0"), untagged: ("index",)}
    assert all(before <= image.pushed_at <= datetime.now(UTC) for image in found.values())

    await images.take_off(cloud.calls, "models", ["1.0", "absent", "1.0"])
    found = {image.digest: image for image in await images.list_tagged(cloud.calls, "models")}
    assert {digest: image.tags for digest, image in found.items()} == {one: ("2.0",), untagged: ("index",)}
    await images.take_off(cloud.calls, "models", ["2.0"])
    assert [image.digest for image in await images.list_tagged(cloud.calls, "models")] == [untagged]
    await images.take_off(cloud.calls, "absent", ["1.0"])


async def test_what_is_not_there_cannot_be_listed(cloud: Cloud) -> None:
    with pytest.raises(errors.NotFound):
        await Images(cloud.clients.ecr).list_tagged(cloud.calls, "absent")


async def test_images_beyond_a_page_are_all_listed(calls: Calls, clients: Clients) -> None:
    # The emulator knows no pages of images, and no filter.
    asked = {"repositoryName": "models", "filter": {"tagStatus": "TAGGED"}, "maxResults": 1000}
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    pages = [[{"imageDigest": ABSENT, "imageTags": ["b", "a"], "imagePushedAt": moment}], [{"imageDigest": ABSENT}]]
    with Stubber(clients.ecr) as stubber:
        stubber.add_response("describe_images", {"imageDetails": pages[0], "nextToken": "more"}, asked)
        stubber.add_response("describe_images", {"imageDetails": pages[1]}, {**asked, "nextToken": "more"})
        [image] = await Images(clients.ecr).list_tagged(calls, "models")
    assert (image.digest, image.tags, image.pushed_at) == (ABSENT, ("a", "b"), moment)


async def test_a_hundred_tags_are_taken_off_by_a_call_and_the_first_that_cannot_be_is_named(
    calls: Calls, clients: Clients
) -> None:
    tags = [str(number) for number in range(150)]
    identifiers = [{"imageTag": tag} for tag in tags]
    missing = {"imageId": identifiers[0], "failureCode": "ImageNotFound", "failureReason": "no image"}
    observed = {"imageId": identifiers[1], "failureCode": "ImageReferencedByManifestList", "failureReason": "an index"}
    with Stubber(clients.ecr) as stubber:
        for part, failures in ((identifiers[:100], [missing, observed]), (identifiers[100:], [observed])):
            asked = {"repositoryName": "models", "imageIds": part}
            stubber.add_response("batch_delete_image", {"imageIds": part[-1:], "failures": failures}, asked)
        with pytest.raises(errors.Transient, match=r"models:1: an index .ImageReferencedByManifestList."):
            await Images(clients.ecr).take_off(calls, "models", tags)
        stubber.assert_no_pending_responses()


async def test_nothing_is_taken_off_without_a_call(calls: Calls, clients: Clients) -> None:
    with Stubber(clients.ecr):
        await Images(clients.ecr).take_off(calls, "models", [])
