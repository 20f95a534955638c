"""What the condition ``ImageReady`` says of images that cannot be served."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from tests.engine.objects import ACCOUNT, DIGEST, IMAGE, REGISTRY, endpoint, make_class
from tests.features.images.builds.test_policy import NOW, build
from tests.features.images.test_checks import COUNTS, FINDINGS
from tests.features.images.test_policy import FORK, approved, building_class, built

from ephemeral_endpoints.api import FORMER_APPROVAL
from ephemeral_endpoints.api.v1alpha1.image_build import Platform
from ephemeral_endpoints.api.v1alpha1.image_policy import ScanPolicy, Severity
from ephemeral_endpoints.features.images import policy
from ephemeral_endpoints.features.images.builds.policy import Result, Step, state_of, waiting_for_repository
from ephemeral_endpoints.features.images.checks import (
    BUILD_AGAIN,
    SERVERLESS_BYTES,
    judged,
    push_again,
    replaced,
    unfit,
    without_entrypoint,
)
from ephemeral_endpoints.features.images.references import (
    ImageFacts,
    ImageReference,
    ImageState,
    ScanState,
    ScanStatus,
    refusal,
)
from ephemeral_endpoints.features.images.registry import image_state
from ephemeral_endpoints.features.images.stage import image_ready

_MISSING = {"images": [], "failures": [{"failureCode": "ImageNotFound"}]}
_LINES = ("Step 3/4 : RUN make", "make: *** [all] Error 2")
_ELSEWHERE = ImageReference.parse(IMAGE.replace("us-east-1", "eu-central-1"))


def problems() -> Iterator[tuple[str, str]]:
    for state in (*_found(), *_refused(), *_checked(), *_unstartable(), *_made()):
        if isinstance(state, ImageState) and state.problem:
            update = image_ready(state).update
            yield f"{update.type}={update.status} {update.reason}", update.message


def _found() -> Iterator[object]:
    yield image_state("models/sentiment", ("imageTag", "1f0c2a9"), _MISSING, is_only=True)
    for reference, allowed in ((_ELSEWHERE, ()), (ImageReference.parse(IMAGE), (f"{REGISTRY}/other/*",))):
        yield refusal(reference, region="us-east-1", account=ACCOUNT, allowed=allowed)
    yield refusal(ImageReference.parse(IMAGE), region="us-east-1", account="210987654321", allowed=())


def _refused() -> Iterator[object]:
    yield policy.refusal(built(), make_class())
    tag = {"project": "previews", "image": "docker.io/moby/buildkit:latest"}
    yield policy.refusal(built(), building_class(codeBuild=tag, allowTags=False))
    yield policy.refusal(built({"secrets": ["pip"]}), building_class())
    yield policy.refusal(built({"platform": "linux/arm64"}), building_class())
    for annotations in ({}, approved("0" * 64), {FORMER_APPROVAL: "0" * 40}):
        yield policy.refusal(built(source=FORK, annotations=annotations), building_class())
    yield policy.refusal(built(source=FORK), building_class(forks="Refuse"))
    for arguments in ({"HTTPS_PROXY": "http://proxy"}, {"BUILDKIT_SYNTAX": "mallory/frontend"}):
        yield policy.refusal(built({"arguments": arguments}), building_class())
    yield policy.refusal(built(), building_class(approveAll=True))
    azure = built(source={"repository": "acme/nlp/_git/sentiment"})
    jobs = {"codeBuild": None, "job": {"namespace": "builds", "serviceAccountName": "builder"}}
    yield policy.refusal(azure, building_class(gitUrl="https://dev.azure.com", **jobs))
    copy = endpoint({"spec": {"model": {"image": None, "copy": {"image": "quay.io/mallory/model:1"}}}})
    for allowed in ([], ["quay.io/acme/*"]):
        yield policy.refusal(copy, building_class({"allowedSources": allowed}))


def _checked() -> Iterator[object]:
    remedy = push_again(Platform.AMD64)
    made = ImageReference.parse(IMAGE)
    yield replaced(made, ImageState(digest=f"sha256:{'0' * 64}"), {DIGEST})
    for facts in (
        ImageFacts(size_bytes=SERVERLESS_BYTES * 2),
        ImageFacts(images=(("linux/arm64", DIGEST),)),
        ImageFacts("application/vnd.oci.image.index.v1+json"),
        ImageFacts("application/vnd.oci.image.manifest.v1+json"),
    ):
        yield unfit(ImageState(DIGEST, facts=facts), platform=Platform.AMD64, is_serverless=True, remedy=remedy)
    oci = ImageFacts("application/vnd.oci.image.manifest.v1+json")
    yield unfit(ImageState(DIGEST, facts=oci), platform=Platform.AMD64, is_serverless=True, remedy=BUILD_AGAIN)
    for status in ScanStatus:
        yield judged(ScanState(status, COUNTS, FINDINGS), ScanPolicy(severity=Severity.HIGH))


def _unstartable() -> Iterator[object]:
    yield without_entrypoint(("gunicorn", "--bind", "0.0.0.0:8080", "app:app"))
    yield without_entrypoint(())


def _made() -> Iterator[object]:
    yield waiting_for_repository("eep-c1-default-abcdefghij")
    yield state_of([], (), ahead=3, now=NOW)
    yield state_of([], (), ahead=None, now=NOW)
    for step in Step:
        yield state_of([replace(build(Result.RUNNING, step=step), log_url="https://logs")], (), ahead=None, now=NOW)
    for result in (Result.FAULT, Result.FAILED, Result.TIMED_OUT):
        yield state_of([build(result)], _LINES, ahead=None, now=NOW)
    yield state_of([build(Result.FAULT)] * 3, (), ahead=None, now=NOW)
    yield state_of([build(Result.SUCCEEDED, ago=timedelta(minutes=1))] * 3, (), ahead=None, now=NOW)
