"""The tutorial as it stands on its page, on the platform of the tests."""

from pathlib import Path

import pytest
from tests.fixtures.operator import OperatorProcess
from tests.fixtures.page import SECONDS, follow

from eep_platform.containers import isolation
from eep_platform.platform import Platform


@pytest.mark.timeout(SECONDS)
def test_from_an_empty_folder_to_a_prediction(
    platform: Platform, operator_process: OperatorProcess, tmp_path: Path
) -> None:
    assert isolation.has_networks(), "the container of the page needs a network of its own"
    url = operator_process.run()
    printed = follow("tutorial.md", platform, tmp_path)
    assert f"✓ the operator at {url} runs" in printed
    assert printed.count('{"predictions":[0,2]}') == 2, "eep and curl have got an answer"
    assert "deleted" in printed
