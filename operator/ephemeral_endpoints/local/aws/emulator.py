"""ministack as a program, nearer to AWS in four things.

It keeps event sources that begin with ``aws.`` for its own services; our SageMaker stands beside it and plays one of
them. It kills the workers of a function whose code changes in the midst of what they do, where Lambda lets invocations
in flight end (https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionCode.html). It forgets which tags of a
repository may move where the others may not
(https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html). And it deletes an image with one of
its tags, where ECR takes off the tag
(https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html).
"""

import functools
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from ministack.app import main
from ministack.core import lambda_runtime
from ministack.services import ecr, eventbridge

_POLL_SECONDS = 0.05

_EXCLUSIONS = "imageTagMutabilityExclusionFilters"

Answer = tuple[int, dict[str, str], bytes]
Handle = Callable[[dict[str, Any]], Answer]
Kill = Callable[[Iterable[Any]], None]
Shape = Callable[[dict[str, Any]], dict[str, Any]]


def sparing_busy(kill: Kill) -> Kill:
    """Kill idle workers at once, and each busy one as soon as it is idle."""

    def retire(worker: Any) -> None:  # noqa: ANN401 - ministack has no types
        while worker.in_use:
            time.sleep(_POLL_SECONDS)
        kill([worker])

    def kill_idle(workers: Iterable[Any]) -> None:
        listed = [worker for worker in workers if worker is not None]
        kill([worker for worker in listed if not worker.in_use])
        for worker in listed:
            if worker.in_use:
                threading.Thread(target=retire, args=(worker,), daemon=True).start()

    return kill_idle


def keeping_exclusions(handle: Handle, repositories: Mapping[str, dict[str, Any]]) -> Handle:
    """Handle a request that says how far a repository's tags may move, and keep all of what it says."""

    def handle_and_keep(data: dict[str, Any]) -> Answer:
        answer = handle(data)
        if answer[0] == HTTPStatus.OK:
            repositories[data["repositoryName"]][_EXCLUSIONS] = data.get(_EXCLUSIONS, [])
        return answer

    return handle_and_keep


def showing_exclusions(shape: Shape) -> Shape:
    """Show with a repository which of its tags may move."""

    def shown(repository: dict[str, Any]) -> dict[str, Any]:
        exclusions = repository.get(_EXCLUSIONS)
        return {**shape(repository), **({_EXCLUSIONS: exclusions} if exclusions else {})}

    return shown


def taking_off_tags(delete: Handle, find: Callable[[str, dict[str, str]], dict[str, Any] | None]) -> Handle:
    """Delete by tag only what has no other tag left."""

    def handle(data: dict[str, Any]) -> Answer:
        rest, taken = [], []
        for each in data.get("imageIds", []):
            image = None if "imageDigest" in each else find(data.get("repositoryName", ""), each)
            if image and len(image["imageTags"]) > 1:
                image["imageTags"].remove(each["imageTag"])
                taken.append({**each, "imageDigest": image["imageDigest"]})
            else:
                rest.append(each)
        status, headers, body = delete({**data, "imageIds": rest})
        if taken:
            told = json.loads(body)
            body = json.dumps({**told, "imageIds": [*taken, *told["imageIds"]]}).encode()
        return status, headers, body

    return handle


if __name__ == "__main__":
    publish = eventbridge._put_events  # noqa: SLF001 - no setting does it
    eventbridge._put_events = functools.partial(publish, allow_aws_source=True)  # noqa: SLF001 - likewise
    lambda_runtime.kill_workers = sparing_busy(lambda_runtime.kill_workers)
    repositories = ecr._repositories  # noqa: SLF001 - likewise
    ecr._create_repository = keeping_exclusions(ecr._create_repository, repositories)  # noqa: SLF001 - likewise
    ecr._put_image_tag_mutability = keeping_exclusions(  # noqa: SLF001 - likewise
        ecr._put_image_tag_mutability,  # noqa: SLF001 - likewise
        repositories,
    )
    ecr._batch_delete_image = taking_off_tags(  # noqa: SLF001 - likewise
        ecr._batch_delete_image,  # noqa: SLF001 - likewise
        ecr._find_image,  # noqa: SLF001 - likewise
    )
    ecr._repo_shape = showing_exclusions(ecr._repo_shape)  # noqa: SLF001 - likewise
    main()
