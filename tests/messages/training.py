"""What the conditions ``Trained`` and ``ModelRegistered`` say."""

from collections.abc import Iterator

import pytest
from tests.engine.objects import subject
from tests.features.training import test_custom, test_outcome, test_policy
from tests.features.training.examples import SHA, TRAINING, parts, trained

from ephemeral_endpoints.engine.errors import Invalid
from ephemeral_endpoints.features.training import stage
from ephemeral_endpoints.features.training.custom import parsed
from ephemeral_endpoints.features.training.outcome import Package, Progress
from ephemeral_endpoints.features.training.policy import refusal
from ephemeral_endpoints.features.training.reasons import DefinitionInvalid


def told() -> Iterator[tuple[str, str]]:
    package = Package("arn:aws:sagemaker:us-east-1:123456789012:model-package/wine/7", "wine", "i", "s3://a")
    done = test_outcome.run("Succeeded", package=package)
    for progress in (*(each for each, *_ in test_outcome.CASES), done):
        for found in (stage.trained(progress), stage.model_registered(progress)):
            if found:
                yield f"{found.update.type}={found.update.status} {found.update.reason}", found.update.message
    yield from _refused()


def _refused() -> Iterator[tuple[str, str]]:
    without = subject({"source": {"revision": SHA}, "model": {"image": None, "training": TRAINING}})
    for each in (without, *(trained(change) for change, _ in test_policy.REFUSED)):
        if error := refusal(each):
            yield from _failed(error)
    for text, *_ in test_custom.REFUSED:
        with pytest.raises(DefinitionInvalid) as found:
            parsed(text, parts(trained())[1])
        yield from _failed(found.value)
    said = Invalid("Unable to parse pipeline definition. (ValidationException)", operation="CreatePipeline")
    yield from _failed(DefinitionInvalid.by_sagemaker("the definition in the ConfigMap wine, key pipeline.json", said))


def _failed(error: Exception) -> Iterator[tuple[str, str]]:
    found = stage.trained(Progress("accuracy", "0.8", error=error))  # type: ignore[arg-type]
    if found:
        yield f"{found.update.type}={found.update.status} {found.update.reason}", found.update.message
