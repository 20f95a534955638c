import os
import shutil
from pathlib import Path

import pytest
from tests.fixtures.containers import CACHE, MODEL, REVISION, build_image

from eep_platform.containers import base, copying, engineless, isolation
from eep_platform.containers.errors import BuildError
from eep_platform.containers.image import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, BuiltImage
from eep_platform.containers.store import ImageStore


def build(context: Path, steps: list[str], cache: Path = CACHE, revision: str = REVISION) -> BuiltImage:
    """Build, and add to `steps` what is not in the cache; the base that stands in is said every time."""
    said: list[str] = []
    image = build_image(context, revision=revision, cache=cache, report=said.append)
    steps += [line for line in said if not line.startswith("FROM ")]
    return image


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
        pytest.param("FROM evil.example/library/python:3.11", "FROM evil.example", id="the name at another registry"),
        pytest.param("FROM python:3.11-alpine", "FROM python:3.11-alpine", id="another C library"),
        pytest.param("FROM python:3", "write FROM python:3.11-slim", id="a tag that moves to other versions"),
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
    "image",
    [
        "python:3.11",
        "python:3.11.4-slim-bookworm",
        f"docker.io/library/python:3.11-slim@sha256:{'0' * 64}",
        "public.ecr.aws/docker/library/python:3.11-slim",
    ],
)
def test_official_images_of_this_python_have_a_stand_in_which_is_said(tmp_path: Path, image: str) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {image}")
    said: list[str] = []
    engineless.prepare(tmp_path, arguments={}, cache=CACHE, report=said.append)
    assert said[0].startswith(f"FROM {image}: nothing can be pulled here, in its place there is Python 3.11")


@pytest.mark.parametrize(
    ("command", "is_warned"),
    [
        pytest.param("pip install -r requirements.txt", True, id="no hashes"),
        pytest.param("cd /x && pip3 install --upgrade requests", True, id="within a line"),
        pytest.param("pip install --require-hashes -r requirements.txt", False, id="locked"),
    ],
)
def test_packages_that_are_not_locked_are_warned_of(tmp_path: Path, command: str, *, is_warned: bool) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM python:3.11\nRUN {command}")
    said: list[str] = []
    engineless.prepare(tmp_path, arguments={}, cache=CACHE, report=said.append)
    assert any(line.startswith("WARNING: line 2: without hashes") for line in said) == is_warned


SHELL = r"""
FROM python:3.11-slim
RUN useradd app && mkdir -p /srv/data && echo "$HOME" > /srv/data/home && rm /etc/group
ENV GREETING=hello
RUN for word in $GREETING world; do printf '%s\n' "$word"; done | tr a-z A-Z > /srv/data/said \
    && chmod 750 /srv/data && chown app /srv/data/said && test ! -e /etc/group
COPY --chown=app --chmod=600 Dockerfile /srv/
USER app
RUN id -un > /tmp/user
"""


def test_the_final_stage_runs_commands_of_the_shell_and_its_layers_hold_what_they_changed(tmp_path: Path) -> None:
    if isolation.best_mode() != "namespaces" or os.geteuid() != 0:
        pytest.skip("only root can give files away")
    (tmp_path / "Dockerfile").write_text(SHELL)
    image = engineless.prepare(tmp_path, arguments={}, cache=CACHE, report=silent).image()
    store = ImageStore(tmp_path / "store")
    for blob in (*image.manifest.layers, image.manifest.config):
        store.blobs.add(image.blobs.read(blob.digest))
    root = store.unpack(image.manifest, image.config)
    assert (root / "srv/data/said").read_text() == "HELLO\nWORLD\n"
    assert (root / "srv/data/home").read_text() == "/root\n"
    assert not (root / "etc/group").exists()
    assert (root / "tmp/user").read_text() == "app\n"
    app = isolation.owner_of("app", root)[0]
    assert app > 0
    owners = [(root / path).stat().st_uid for path in ("srv/data/said", "srv/Dockerfile", "srv/data/home")]
    assert owners == [app, app, 0]
    assert [oct((root / path).stat().st_mode & 0o555) for path in ("srv/data", "srv/Dockerfile")] == ["0o550", "0o400"]


def test_a_command_that_is_root_changes_nothing_of_this_machine_nor_of_another_stage(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "probe.sh").write_text(
        f"echo theirs > {outside}; echo 1 > /proc/sys/kernel/core_pattern; mknod /x b 8 0; mount -t tmpfs x /mnt\n"
        "echo broken >> /usr/local/lib/python3.11/this.py; ln -sfn /etc /usr/local/libexec; exit 0\n"
    )
    (tmp_path / "Dockerfile").write_text("FROM python:3.11\nCOPY probe.sh /\nRUN sh /probe.sh\nRUN true\n")
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    engineless.prepare(tmp_path, arguments={}, cache=CACHE, report=silent).image()
    assert outside.read_text() == "mine"
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern
    assert not Path("/etc/eep").exists()
    assert "broken" not in (CACHE / "stages" / base.key() / "usr/local/lib/python3.11/this.py").read_text()


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
    # Root with a part of its rights, where the kernel confines it.
    assert f"False uid={0 if isolation.best_mode() == 'namespaces' else 65534}" in str(caught.value)


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


def test_a_stage_that_only_runs_commands_can_be_tried_out(tmp_path: Path) -> None:
    file = of_stages(tmp_path)
    engineless.prepare(tmp_path, arguments={}, cache=CACHE, report=silent, file=file, target="checked").execute()


def test_a_stage_may_have_the_name_of_its_base(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3.11 AS python:3.11\nLABEL name=own\n")
    assert engineless.prepare(tmp_path, arguments={}, cache=CACHE, report=silent).image().config.labels == {
        "name": "own"
    }


@pytest.mark.parametrize("name", [".dockerignore", "File.dockerignore"])
def test_ignored_files_are_not_copied(tmp_path: Path, name: str) -> None:
    context = tmp_path / "context"
    (context / "data").mkdir(parents=True)
    for file in ("app.py", "data/big.csv", "data/keep.csv", "secret.env"):
        (context / file).write_text("")
    (context / "File").write_text("FROM python:3.11\nCOPY . /app\n")
    (context / name).write_text("# comment\n**/*.env\ndata/*\n!data/keep.csv\n")
    build = engineless.prepare(context, arguments={}, cache=CACHE, report=silent, file=context / "File")
    copied = {path.relative_to(build.context).as_posix() for path in build.context.rglob("*") if path.is_file()}
    assert copied == {"app.py", "data/keep.csv", "File", name}


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
    ],
)
def test_a_secret_that_cannot_be_given_is_refused(tmp_path: Path, mount: str, complaint: str) -> None:
    context = with_secret(tmp_path / "context", mount)
    with pytest.raises(BuildError, match=complaint):
        engineless.prepare(context, arguments={}, cache=CACHE, report=silent, secrets={"x": "y"}).image()
