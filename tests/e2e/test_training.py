"""From data to production as people see it: trained, cached, registered, promoted, and back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.command import eep
from tests.fixtures.page import SECONDS, blocks, follow

from eep_platform import operator
from eep_platform import platform as local_platform
from eep_platform.demo.running import SETTINGS
from eep_platform.demo.training import PREVIEW, Training
from eep_platform.platform import Platform
from eep_platform.workbench import Workbench

MODEL = Path(__file__).parents[2] / "model"
PAGE = "training-tutorial.md"


@pytest.fixture(scope="module")
def own_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform whose class these tests may change, with the operator."""
    state = tmp_path_factory.mktemp("training") / "platform"
    try:
        platform = local_platform.up(state)
        operator.start(platform, {**SETTINGS, **operator.take_events(platform)})
        yield platform
    finally:
        local_platform.down(state)


@pytest.fixture(scope="module")
def lines(own_platform: Platform) -> list[str]:
    """What the story tells, run once; it fails by itself where a step does."""
    told = list[str]()
    Training(Workbench(own_platform), MODEL, told.append).run()
    return told


def test_a_pull_request_serves_what_it_has_trained(lines: list[str]) -> None:
    assert any("TrainingSucceeded" in line and "accuracy.value = 0.9" in line for line in lines)
    assert any(f"prediction of {PREVIEW}" in line and '"label": "class_0"' in line for line in lines)


def test_after_the_merge_nothing_is_trained_again(lines: list[str]) -> None:
    assert sum("TrainingCached" in line for line in lines) == 1


def test_the_next_version_shares_the_requests_with_the_former_one_and_then_gets_all(lines: list[str]) -> None:
    [shared] = [line for line in lines if "the canary answers" in line]
    assert "wine/2" in shared
    assert "wine/1" in shared
    assert any("requests meanwhile" in line and "wine/1" in line and "wine/2" in line for line in lines)


def test_a_version_that_fails_requests_is_taken_back_by_its_alarm(lines: list[str]) -> None:
    [history] = [line for line in lines if "RolledBack" in line]
    assert "wine/3" in history
    assert "CloudWatch alarms" in history
    assert ":errors" in history
    assert any("requests meanwhile" in line and " 502," in line and "wine/2" in line for line in lines)
    assert any("went back to wine/2" in line for line in lines)


def test_nothing_is_left(lines: list[str]) -> None:
    assert any("the lists of SageMaker" in line for line in lines)


@pytest.mark.timeout(SECONDS)
def test_the_tutorial_goes_from_an_empty_folder_to_production(own_platform: Platform, tmp_path: Path) -> None:
    printed = follow(PAGE, own_platform, tmp_path)
    assert "GateFailed" in printed
    assert '{"predictions":[0]}' in printed, "the preview has answered"
    assert '{"predictions":[2]}' in printed, "production has answered"


def test_what_the_tutorial_shows_of_files_is_in_them(tmp_path: Path) -> None:
    options = ("--name", "cultivars", "--repository", "acme/wine", "--train-on", "s3://data/cultivars/")
    assert eep("init", "--path", str(tmp_path), *options).exit_code == 0
    for language, file in (("python", "model.py"), ("yaml", "preview/endpoint.yaml")):
        [shown] = blocks(PAGE, language)
        assert shown in (tmp_path / file).read_text()
