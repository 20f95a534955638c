import asyncio
import gzip
import hashlib
import io
import json
import tarfile

import pytest
import requests
from botocore.stub import Stubber
from tests.aws.world import World

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.images import Images
from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.images import ImageProblem, ImageReference
from ephemeral_endpoints.local.aws.faults import Fault, FaultError

ABSENT = "sha256:" + "0" * 64
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


class Registry:
    """The registry's HTTP interface (https://github.com/opencontainers/distribution-spec), as a builder uses it."""

    def __init__(self, world: World) -> None:
        self._base = f"{world.aws.endpoint}/v2/models"

    def push_image(self, tag: str) -> str:
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w"):
            pass
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob("application/vnd.oci.image.config.v1+json", config.encode()),
            "layers": [self._blob("application/vnd.oci.image.layer.v1.tar+gzip", gzip.compress(layer.getvalue()))],
        }
        return self._manifest(tag, MANIFEST, document)

    def push_index(self, tag: str, image: str) -> str:
        size = len(requests.get(f"{self._base}/manifests/{image}", headers={"Accept": MANIFEST}, timeout=5).content)
        entry = {"mediaType": MANIFEST, "digest": image, "size": size}
        return self._manifest(tag, INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})

    def _blob(self, media_type: str, content: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        begun = requests.post(f"{self._base}/blobs/uploads/", timeout=5)
        target = requests.compat.urljoin(begun.url, begun.headers["Location"])
        requests.put(target, params={"digest": digest}, data=content, timeout=5).raise_for_status()
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def _manifest(self, tag: str, media_type: str, document: dict[str, object]) -> str:
        content = json.dumps(document).encode()
        answer = requests.put(
            f"{self._base}/manifests/{tag}", data=content, headers={"Content-Type": media_type}, timeout=5
        )
        answer.raise_for_status()
        return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def registry(world: World) -> Registry:
    world.clients.ecr.create_repository(repositoryName="models")
    return Registry(world)


def reference(world: World, name: str) -> ImageReference:
    return ImageReference.parse(f"{world.scope.account_id}.dkr.ecr.{world.scope.region}.amazonaws.com/{name}")


async def test_a_pushed_image_is_found_by_its_tag_and_by_its_digest(world: World, registry: Registry) -> None:
    digest = registry.push_image("1.0")
    for name in ("models:1.0", f"models@{digest}"):
        state = await Images(world.clients.ecr).resolve(world.calls, reference(world, name))
        assert (state.digest, state.problem) == (digest, None), name


async def test_what_many_ask_of_one_repository_meanwhile_is_one_call_and_each_has_its_answer(
    world: World, registry: Registry
) -> None:
    digest = registry.push_image("1.0")
    names = ["models:1.0", f"models@{digest}", "models:absent", f"models@{ABSENT}", "other:1.0"]
    images = Images(world.clients.ecr)
    world.aws.control.reset_meter()
    states = await asyncio.gather(*(images.resolve(world.calls, reference(world, name)) for name in names))
    assert [state.digest for state in states] == [digest, digest, None, None, None]
    assert world.aws.control.calls()["ecr"] == {"BatchGetImage": 2}, "one for each repository"


async def test_an_image_of_two_tags_is_found_by_each_although_the_answer_names_one(
    world: World, registry: Registry
) -> None:
    digest = registry.push_image("1.0")
    registry.push_image("2.0")
    images = Images(world.clients.ecr)
    names = ("models:1.0", "models:2.0")
    states = await asyncio.gather(*(images.resolve(world.calls, reference(world, name)) for name in names))
    assert [state.digest for state in states] == [digest, digest]


async def test_a_tag_that_moved_resolves_to_where_it_points_now(world: World, registry: Registry) -> None:
    image = registry.push_image("latest")
    index = registry.push_index("latest", image)
    state = await Images(world.clients.ecr).resolve(world.calls, reference(world, "models:latest"))
    assert state.digest == index != image


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("models:absent", "models:absent is not in ECR yet"),
        (f"models@{ABSENT}", f"models@{ABSENT} is not in ECR yet"),
        ("other:1.0", "the repository other does not exist in account 000000000000"),
    ],
)
async def test_what_is_missing_is_said_and_no_error(world: World, registry: Registry, name: str, message: str) -> None:
    registry.push_image("1.0")
    state = await Images(world.clients.ecr).resolve(world.calls, reference(world, name))
    assert (state.digest, state.problem) == (None, ImageProblem.NOT_FOUND)
    assert message in state.message


async def test_a_refusal_is_an_error_and_not_a_missing_image(world: World) -> None:
    refusal = FaultError(code="AccessDeniedException", message="no", status=400)
    world.aws.control.add_faults(Fault(service="ecr", error=refusal))
    with pytest.raises(errors.Denied):
        await Images(world.clients.ecr).resolve(world.calls, reference(world, "models:1.0"))


@pytest.mark.parametrize(("failed", "message"), [(1, "the key is disabled"), (0, "nothing was answered about ab:1")])
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
