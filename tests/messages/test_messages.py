"""Every message that a user can see, rendered by the code that reports it, in one file to review: messages.md.

``EEP_RENEW_GOLDEN=1 .venv/bin/pytest tests/messages`` writes it anew.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.chart.rendering import RENEW, Chart
from tests.controllers.test_reasons import errors as error_classes
from tests.messages import (
    admission,
    api,
    captures,
    comments,
    comparisons,
    conditions,
    errors,
    forges,
    images,
    notifications,
    operation,
    packages,
    postprocessing,
    promotions,
    publications,
    reapers,
    requests,
    results,
    sleep,
    training,
)

from ephemeral_endpoints.controllers.reasons import CATALOGUE

GOLDEN = Path(__file__).parent / "messages.md"
Section = Callable[[], Iterator[tuple[str, str]]]


@pytest.fixture(scope="session")
def chart(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Chart:
    return Chart(helm, tmp_path_factory.mktemp("helm"))


def rendered(sections: Mapping[str, Section]) -> str:
    """Markdown: a heading for each section, and below it each message once, after everything that reports it."""
    parts = ["# Every message that a user can see", "Written by the tests: see test_messages.py."]
    for title, rows in sections.items():
        tellers: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for teller, message in rows():
            tellers[message][f"`{teller}`"] = None
        parts += [f"## {title}", "\n".join(f"- {', '.join(each)}: {message}" for message, each in tellers.items())]
    return "\n\n".join(parts) + "\n"


def test_every_message_is_in_the_file_for_review(chart: Chart) -> None:
    text = rendered(
        {
            "Conditions of objects": conditions.of_objects,
            "Sleep": sleep.told,
            "Comparisons": comparisons.conditions,
            "Second models": postprocessing.conditions,
            "Packages": packages.told,
            "Images": images.problems,
            "Trainings": training.told,
            "Stages and promotions": promotions.told,
            "Conditions of classes": conditions.of_classes,
            "Forges": forges.told,
            "Capture": captures.told,
            "Results": results.told,
            "Reapers": reapers.told,
            "Publications": publications.told,
            "Commands by comment": comments.told,
            "Notifications": notifications.told,
            "Events": conditions.events,
            "Errors": errors.raised,
            "Rules of the API": api.rules,
            "Admission": lambda: admission.policies(chart),
            "Answers of the forwarder": requests.problems,
            "Settings": operation.settings,
            "Uninstallation": operation.uninstallation,
        }
    )
    if RENEW in os.environ:
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8"), "after a review, write it anew: see the head of this module"


def test_every_reason_has_a_message_in_the_file() -> None:
    text = GOLDEN.read_text(encoding="utf-8")
    assert [reason.name for reason in CATALOGUE if f" {reason}`" not in text] == []


def test_every_error_that_can_be_raised_has_a_message_in_the_file() -> None:
    text = GOLDEN.read_text(encoding="utf-8")
    raised = [each for each in error_classes() if hasattr(each, "reason") and each.__module__.startswith("ephemeral_")]
    assert [each.__name__ for each in raised if f"`{each.__name__} {each.reason}`" not in text] == []
