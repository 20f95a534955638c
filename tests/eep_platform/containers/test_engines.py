from pathlib import Path

import pytest

from eep_platform.containers import engines
from eep_platform.containers.engines import ENGINES, Order, build_line, choose, save_line
from eep_platform.containers.errors import BuildError


@pytest.mark.parametrize(
    ("requested", "working", "chosen"),
    [
        pytest.param("auto", {"docker", "podman", "buildah", "buildctl"}, "docker", id="the most usual first"),
        pytest.param("auto", {"buildah", "podman"}, "podman", id="no Docker"),
        pytest.param("auto", {"buildctl"}, "buildctl", id="rootless BuildKit alone"),
        pytest.param("auto", set(), None, id="none: our own builder"),
        pytest.param("buildah", {"docker", "buildah"}, "buildah", id="the one that is named"),
        pytest.param("engineless", {"docker"}, None, id="none is wanted"),
    ],
)
def test_the_engine_that_is_there_is_used(requested: str, working: set[str], chosen: str | None) -> None:
    engine = choose(requested, lambda each: each.program in working)
    assert (engine and engine.program) == chosen


@pytest.mark.parametrize(("requested", "complaint"), [("kaniko", "there is no engine"), ("podman", "does not answer")])
def test_a_named_engine_that_cannot_build_is_an_error(requested: str, complaint: str) -> None:
    with pytest.raises(BuildError, match=complaint):
        choose(requested, lambda _: False)


ORDER = Order(Path("/c"), Path("/d/File"), Path("/a.tar"), {"REVISION": "1"}, {"token": Path("/s")}, target="last")


@pytest.mark.parametrize(
    ("program", "build", "save"),
    [
        pytest.param(
            "docker",
            "docker build --quiet --file=/d/File --build-arg=REVISION=1 --target=last --secret=id=token,src=/s /c",
            "docker save --output /a.tar sha256:1",
            id="docker",
        ),
        pytest.param(
            "podman",
            "podman build --quiet --file=/d/File --build-arg=REVISION=1 --target=last --secret=id=token,src=/s /c",
            "podman save --format oci-archive --output /a.tar sha256:1",
            id="podman",
        ),
        pytest.param(
            "buildah",
            "buildah build --quiet --file=/d/File --build-arg=REVISION=1 --target=last --secret=id=token,src=/s /c",
            "buildah push --quiet sha256:1 oci-archive:/a.tar",
            id="buildah",
        ),
        pytest.param(
            "buildctl",
            "buildctl build --frontend=dockerfile.v0 --local=context=/c --local=dockerfile=/d "
            "--output=type=oci,dest=/a.tar --opt=filename=File --opt=build-arg:REVISION=1 --opt=target=last "
            "--secret=id=token,src=/s",
            "",
            id="BuildKit, which writes the archive itself",
        ),
    ],
)
def test_each_engine_is_called_as_it_wants_to_be(program: str, build: str, save: str) -> None:
    engine = next(each for each in ENGINES if each.program == program)
    assert " ".join(build_line(engine, ORDER)) == build
    assert " ".join(save_line(engine, "sha256:1", ORDER.archive)) == save


def test_an_engine_that_is_not_installed_does_not_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not any(engines.works(engine) for engine in ENGINES)
