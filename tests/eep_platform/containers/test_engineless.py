import shutil
from pathlib import Path

import pytest
from tests.fixtures.containers import MODEL, REVISION

from eep_platform.containers import copying, engineless
from eep_platform.containers.build import build_model_image
from eep_platform.containers.errors import BuildError
from eep_platform.containers.image import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, BuiltImage
from eep_platform.paths import cache_dir

CACHE = cache_dir() / "images"


def build(context: Path, steps: list[str], cache: Path = CACHE, revision: str = REVISION) -> BuiltImage:
    return build_model_image(context, revision=revision, cache=cache, report=steps.append, builder="engineless")


def test_the_image_is_as_its_dockerfile_says(model_image: BuiltImage) -> None:
    config = model_image.config
    assert config.argv == ("python", "-m", "model", "serve")
    assert not config.user
    assert config.environment["MODEL_REVISION"] == REVISION
    assert len(config.diff_ids) == len(model_image.manifest.layers)


def test_the_image_has_the_media_types_that_sagemaker_accepts(model_image: BuiltImage) -> None:
    manifest = model_image.manifest
    assert model_image.descriptor.media_type == DOCKER_MANIFEST
    assert manifest.config.media_type == DOCKER_CONFIG
    assert {layer.media_type for layer in manifest.layers} == {DOCKER_LAYER}


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
        pytest.param("FROM python:3.11\nCOPY ../secret /x", "outside of the context", id="a file beside the context"),
        pytest.param("FROM python:3.11\nCOPY link /x", "outside of the context", id="a link out of the context"),
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
        engineless.prepare(tmp_path, arguments={}, cache=CACHE, report=print).image()


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


STAGES = """
FROM python:3.11 AS base
WORKDIR /inner
LABEL stage=base
FROM base AS upon
WORKDIR deeper
LABEL stage=upon
FROM base AS checked
RUN python -c 1
FROM python:3.11 AS last
LABEL stage=last
"""


def silent(_: str) -> None:
    """Reports nothing."""


def of_stages(folder: Path) -> Path:
    file = folder / "other" / "File"
    file.parent.mkdir()
    file.write_text(STAGES)
    return file


@pytest.mark.parametrize(
    ("target", "label"), [("base", "base"), ("BASE", "base"), ("0", "base"), ("upon", "upon"), (None, "last")]
)
def test_a_stage_of_a_dockerfile_elsewhere_can_be_the_image(tmp_path: Path, target: str | None, label: str) -> None:
    image = engineless.prepare(
        tmp_path, arguments={}, cache=CACHE, report=silent, file=of_stages(tmp_path), target=target
    ).image()
    assert image.config.labels == {"stage": label}
    assert len(image.manifest.layers) == {"base": 2, "upon": 3, "last": 1}[label]


def test_a_stage_that_runs_commands_can_be_tried_out_but_be_no_image(tmp_path: Path) -> None:
    file = of_stages(tmp_path)
    engineless.prepare(tmp_path, arguments={}, cache=CACHE, report=silent, file=file, target="checked").execute()
    with pytest.raises(BuildError, match="RUN python -c 1: without an engine, only earlier stages"):
        engineless.prepare(tmp_path, arguments={}, cache=CACHE, report=silent, file=file, target="checked").image()


def test_a_stage_may_have_the_name_of_its_base(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3.11 AS python:3.11\nLABEL name=own\n")
    assert engineless.prepare(tmp_path, arguments={}, cache=CACHE, report=silent).image().config.labels == {
        "name": "own"
    }


@pytest.mark.parametrize("name", [".dockerignore", "other/File.dockerignore"])
def test_files_to_ignore_need_an_engine(tmp_path: Path, name: str) -> None:
    file = of_stages(tmp_path)
    (tmp_path / name).write_text("*")
    with pytest.raises(BuildError, match="dockerignore needs an engine"):
        engineless.prepare(tmp_path, arguments={}, cache=CACHE, report=silent, file=file).image()


def with_secret(folder: Path, mount: str) -> Path:
    folder.mkdir()
    (folder / "use.py").write_text(
        "import pathlib, sys\n"
        "secret = pathlib.Path(sys.argv[1])\n"
        "pathlib.Path('/length').write_text(str(len(secret.read_text())))\n"
    )
    (folder / "Dockerfile").write_text(
        f"FROM python:3.11 AS used\nCOPY use.py /\nRUN --mount=type=secret,{mount}\n"
        "FROM python:3.11\nCOPY --from=used /length /\n"
    )
    return folder


@pytest.mark.parametrize(
    "mount",
    [
        pytest.param("id=token python /use.py /run/secrets/token", id="its usual place"),
        pytest.param("id=token,target=/etc/own/place python /use.py /etc/own/place", id="a place of its own"),
        pytest.param("target=token,required=true python /use.py /token", id="named by its place"),
    ],
)
def test_a_command_finds_its_secret_and_no_layer_nor_stage_does(tmp_path: Path, mount: str) -> None:
    context, cache, secret = with_secret(tmp_path / "context", mount), tmp_path / "cache", f"hush-{tmp_path.name}"
    image = engineless.prepare(context, arguments={}, cache=cache, report=silent, secrets={"token": secret}).image()
    stages = [path for path in cache.glob("stages/*") if (path / "length").exists()]
    assert (stages[0] / "length").read_text() == str(len(secret))
    assert not (stages[0] / "run" / "secrets").exists()
    assert not (stages[0] / "etc" / "own").exists()
    assert not [path for path in stages[0].rglob("*") if path.is_file() and path.read_bytes() == secret.encode()]
    again = engineless.prepare(context, arguments={}, cache=cache, report=silent, secrets={"token": "other"}).image()
    assert again.digest == image.digest


@pytest.mark.parametrize(
    ("mount", "complaint"),
    [
        pytest.param("id=token,required=true python -c 1", "secret token: not found", id="a secret that is missing"),
        pytest.param("id=token,target=/tmp/x python -c 1", "no secret can be in", id="a place that is covered"),
        pytest.param("id=token,uid=7 python -c 1", "only id, target and required", id="an option"),
        pytest.param("id=x,target=/use.py python -c 1", "already has a file", id="a file of the image"),
        pytest.param("id=x pip install --require-hashes --target /p -r x", "with a secret needs", id="pip"),
    ],
)
def test_a_secret_that_cannot_be_given_is_refused(tmp_path: Path, mount: str, complaint: str) -> None:
    context = with_secret(tmp_path / "context", mount)
    with pytest.raises(BuildError, match=complaint):
        engineless.prepare(context, arguments={}, cache=CACHE, report=silent, secrets={"x": "y"}).image()
