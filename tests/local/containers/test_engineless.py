import shutil
from pathlib import Path

import pytest
from tests.fixtures.containers import MODEL, REVISION

from ephemeral_endpoints.local.containers import copying, engineless
from ephemeral_endpoints.local.containers.build import build_model_image
from ephemeral_endpoints.local.containers.errors import BuildError
from ephemeral_endpoints.local.containers.image import BuiltImage
from ephemeral_endpoints.local.paths import cache_dir

CACHE = cache_dir() / "images"


def build(context: Path, steps: list[str], cache: Path = CACHE, revision: str = REVISION) -> BuiltImage:
    return build_model_image(context, revision=revision, cache=cache, report=steps.append, builder="engineless")


def test_the_image_is_as_its_dockerfile_says(model_image: BuiltImage) -> None:
    config = model_image.config
    assert config.argv == ("python", "-m", "model.serve")
    assert config.user == "65534:65534"
    assert config.environment["MODEL_REVISION"] == REVISION
    assert len(config.diff_ids) == len(model_image.manifest.layers)


def test_nothing_is_built_twice_and_equal_files_give_the_equal_image(model_image: BuiltImage) -> None:
    steps: list[str] = []
    assert build(MODEL, steps).digest == model_image.digest
    assert steps == []


def test_another_revision_shares_every_layer(model_image: BuiltImage) -> None:
    steps: list[str] = []
    other = build(MODEL, steps, revision="fedcba9")
    assert other.digest != model_image.digest
    assert other.manifest.layers == model_image.manifest.layers
    assert steps == []


def test_changed_code_changes_its_layer_and_no_dependency(model_image: BuiltImage, tmp_path: Path) -> None:
    context = shutil.copytree(MODEL, tmp_path / "model", ignore=shutil.ignore_patterns("__pycache__"))
    with (context / "serve.py").open("a") as file:
        file.write("# changed\n")
    changed = build(context, [])
    differing = [
        new for new, old in zip(changed.manifest.layers, model_image.manifest.layers, strict=True) if new != old
    ]
    assert len(differing) == 1
    assert differing[0].size < 100_000


@pytest.mark.parametrize(
    ("dockerfile", "complaint"),
    [
        pytest.param("FROM debian:12", "FROM debian:12", id="a base that is no Python"),
        pytest.param("FROM python:3.9-slim", "FROM python:3.9", id="another Python"),
        pytest.param("FROM python:3.11\nCOPY missing /x", "no such file", id="a file that is not there"),
        pytest.param("FROM python:3.11\nCOPY ../secret /x", "out of the context", id="a file beside the context"),
        pytest.param("FROM python:3.11\nCOPY link /x", "out of the context", id="a link out of the context"),
        pytest.param("FROM python:3.11\nCOPY --from=other /x /x", "no such stage", id="another image"),
        pytest.param("FROM python:3.11\nRUN true", "only earlier stages", id="a command in the final stage"),
    ],
)
def test_what_needs_an_engine_is_refused(tmp_path: Path, dockerfile: str, complaint: str) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (tmp_path / "secret").write_text("x")
    (context / "link").symlink_to(tmp_path / "secret")
    (context / "Dockerfile").write_text(dockerfile)
    with pytest.raises(BuildError, match=complaint):
        build(context, [])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param("requests", id="no lock"),
        pytest.param("--target /x -r requirements.txt", id="no hashes"),
        pytest.param("--require-hashes --target /x -r requirements.txt --index-url=x", id="an index of the context"),
    ],
)
def test_unlocked_packages_are_refused(tmp_path: Path, options: str) -> None:
    (tmp_path / "Dockerfile").write_text(
        f"FROM python:3.11 AS a\nRUN pip install {options}\nFROM python:3.11\nCOPY --from=a /x /x"
    )
    with pytest.raises(BuildError, match="pip install"):
        build(tmp_path, [])


def test_a_failing_command_is_shown_with_its_output_and_sees_nothing_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "host-secret")
    (tmp_path / "probe.py").write_text(
        "import os, sys\n"
        f"seen = os.path.exists({str(tmp_path)!r})\n"
        "sys.exit(f'{sorted(os.environ)} {seen} uid={os.getuid()}')\n"
    )
    (tmp_path / "Dockerfile").write_text(
        "FROM python:3.11 AS a\nCOPY probe.py /\nRUN python /probe.py\nFROM python:3.11\nCOPY --from=a /probe.py /x"
    )
    with pytest.raises(BuildError, match=r"probe\.py ended with 1") as caught:
        build(tmp_path, [])
    assert "AWS" not in str(caught.value)
    assert "False uid=65534" in str(caught.value)


def test_a_dockerignore_is_refused_for_it_would_not_be_honoured(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3.11")
    (tmp_path / ".dockerignore").touch()
    with pytest.raises(BuildError, match="dockerignore"):
        engineless.build(tmp_path, arguments={}, cache=CACHE, report=print)


def test_a_fingerprint_sees_names_contents_modes_and_links(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("1")
    seen = [copying.fingerprint([folder])]
    (folder / "a").write_text("2")
    seen.append(copying.fingerprint([folder]))
    (folder / "a").chmod(0o755)
    seen.append(copying.fingerprint([folder]))
    (folder / "a").rename(folder / "b")
    seen.append(copying.fingerprint([folder]))
    (folder / "link").symlink_to("b")
    seen.append(copying.fingerprint([folder]))
    assert len(set(seen)) == len(seen)
