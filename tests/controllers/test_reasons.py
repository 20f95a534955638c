import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import ephemeral_endpoints
from ephemeral_endpoints.controllers.reasons import CATALOGUE
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.reasons import Audience, Finality, Reason
from ephemeral_endpoints.engine.resources import IN_FLIGHT, Phase
from ephemeral_endpoints.features.images.reasons import IMAGE_READY, ImageProblem
from ephemeral_endpoints.features.serving.components import PHASES
from ephemeral_endpoints.features.serving.reasons import IMPAIRED_REASONS, IN_FLIGHT_REASONS


def modules() -> Iterator[object]:
    """All modules of the operator; those of the forwarder, which runs alone, have no reasons."""
    package = ephemeral_endpoints.__name__
    for module in pkgutil.walk_packages(ephemeral_endpoints.__path__, f"{package}."):
        if not module.name.endswith("__main__") and ".forwarder" not in module.name:
            yield importlib.import_module(module.name)


def errors(of: type[ReconcileError] = ReconcileError) -> Iterator[type[ReconcileError]]:
    for each in of.__subclasses__():
        yield each
        yield from errors(each)


def declared() -> set[Reason]:
    """The reasons of all modules and errors, in the catalogue or not."""
    constants = {each for module in modules() for each in vars(module).values() if isinstance(each, Reason)}
    return constants | {each.reason for each in (*errors(), *ImageProblem) if hasattr(each, "reason")}


def test_the_catalogue_has_every_reason_that_is_declared_and_no_other() -> None:
    assert {reason.name for reason in declared()} == {reason.name for reason in CATALOGUE}


@pytest.mark.parametrize("problem", ImageProblem)
def test_problems_of_images_are_reported_in_the_scope_of_images(problem: ImageProblem) -> None:
    assert problem.reason.scopes == (IMAGE_READY,)


def test_every_word_of_sagemaker_for_a_change_or_an_impairment_has_a_reason() -> None:
    assert set(IN_FLIGHT_REASONS) == {word for word, phase in PHASES.items() if phase in IN_FLIGHT}
    assert set(IMPAIRED_REASONS) == {word for word, phase in PHASES.items() if phase is Phase.IMPAIRED}


@pytest.mark.parametrize("reason", CATALOGUE, ids=str)
def test_each_reason_is_explained_in_sentences_and_says_what_to_do(reason: Reason) -> None:
    assert re.fullmatch(r"[A-Z`].*\.", reason.meaning)
    assert reason.remedy
    assert not reason.remedy.endswith(".")
    assert "|" not in reason.meaning + reason.remedy, "which would end the cell of the table"
    assert (reason.finality is Finality.NORMAL) == (reason.remedy == "nothing")
    assert reason.audience is Audience.NOBODY or reason.remedy != "wait"
