import os
import shutil
from pathlib import Path

from eep_platform import platform
from eep_platform.bench import building

ECHO = Path(__file__).parents[2] / "integration" / "echo"


def test_a_first_commit_the_next_and_the_same_again_are_measured_and_nothing_is_left(tmp_path: Path) -> None:
    model = shutil.copytree(ECHO, tmp_path / "model")
    (model / "hyperparameters.py").write_text("inverse_regularization: float = 1.0\n")
    with (model / "Dockerfile").open("a") as file:
        file.write("COPY hyperparameters.py ./\n")
    environment, said = dict(os.environ), list[str]()
    found = building.measure(tmp_path / "platform", model, provider="auto", rounds=1, say=said.append)
    assert platform.status(tmp_path / "platform").parts == {}
    assert dict(os.environ) == environment
    (cold,), (warm,), (present,) = found["cold"], found["warm"], found["present"]
    assert cold.calls["codebuild StartBuild"] == warm.calls["codebuild StartBuild"] == 1
    assert "codebuild StartBuild" not in present.calls
    assert cold.calls["ecr CreateRepository"] == 1
    assert cold.build is not None
    assert warm.build is not None
    assert present.build is None
    for imaged, build in ((cold, cold.build), (warm, warm.build)):
        assert 0 < build.seconds < imaged.image_seconds < imaged.ready_seconds
        assert build.asked_seconds > 0
        assert build.noticed_seconds > 0
        assert build.asked_seconds + build.seconds + build.noticed_seconds <= imaged.image_seconds
    assert any("cold: the image after" in line for line in said)
