from pathlib import Path

import pytest
from tests.chart.rendering import Chart


@pytest.fixture(scope="session")
def chart(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Chart:
    """The chart, rendered by the real Helm."""
    return Chart(helm, tmp_path_factory.mktemp("helm"))
