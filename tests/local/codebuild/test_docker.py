import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from tests.fixtures.containers import REVISION
from tests.local.codebuild.conftest import ECR

from ephemeral_endpoints.local.codebuild import aws, docker
from ephemeral_endpoints.local.codebuild.toolchain import CACHE, REGISTRY
from ephemeral_endpoints.local.containers import registry
from ephemeral_endpoints.local.containers.image import BuiltImage
from ephemeral_endpoints.local.paths import cache_dir

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
    answer = requests.head(f"http://{address}/v2/wine/manifests/{tag}", auth=registry.EMBEDDED, timeout=10)
    return answer.headers.get("Docker-Content-Digest") if answer.ok else None


def test_a_login_wants_a_password(docker_of: Docker, capsys: pytest.CaptureFixture[str]) -> None:
    assert docker_of(f"login --username AWS --password-stdin {ECR}", stdin="\n") == 1
    assert "no password came" in capsys.readouterr().err
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
        " --secret id=unused,env=HOME --provenance=false --output type=image,push=true context"
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
        f"http://{registry_server}/v2/wine/manifests/cache", auth=registry.EMBEDDED, timeout=10
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


@pytest.mark.parametrize(
    ("options", "text", "told"),
    [
        pytest.param("--platform linux/s390x", "FROM python:3.11", "no match for platform in manifest", id="platform"),
        pytest.param("--target nowhere", "FROM python:3.11", "target stage 'nowhere' could not be found", id="target"),
        pytest.param("--file nowhere", "FROM python:3.11", "failed to read dockerfile", id="no Dockerfile"),
        pytest.param("--file outside", "FROM python:3.11", "out of the context", id="a Dockerfile outside"),
        pytest.param("--file context/link", "FROM python:3.11", "out of the context", id="a Dockerfile behind a link"),
        pytest.param("", "FROM python:3.11\nCOPY ../outside /", "out of the context", id="a file outside"),
        pytest.param("", "FROM python:3.11\nCOPY link /", "out of the context", id="a file behind a link"),
        pytest.param(
            "",
            "FROM python:3.11 AS a\nRUN --mount=type=cache,target=/c true",
            "--mount=type=cache,target=/c needs an engine",
            id="a mount",
        ),
    ],
)
def test_what_cannot_be_built_is_told_as_buildkit_does(
    docker_of: Docker, capsys: pytest.CaptureFixture[str], options: str, text: str, told: str
) -> None:
    dockerfile(text)
    dockerfile("FROM python:3.11", "outside")
    Path("context/link").symlink_to(Path("outside").absolute())
    assert docker_of(f"buildx build {options} --output type=cacheonly context") == 1
    error = capsys.readouterr().err
    assert "ERROR: failed to solve: " in error
    assert told in error


@pytest.mark.parametrize(
    "line",
    [
        "buildx build --output type=cacheonly nowhere",
        "buildx build --output type=cacheonly ..",
        "buildx build --output type=cacheonly away",
        "buildx build --squash context",
        "buildx build --secret id=s,env=NOT_SET --output type=cacheonly context",
        "buildx build --provenance mode=max context",
        "buildx build --output type=docker context",
        "buildx build --output type=cacheonly --cache-from type=gha context",
        "buildx build --output type=image,push=true context",
        "buildx build --output type=image,push=true --tag docker.io/library/x context",
        "buildx create --driver kubernetes",
        f"buildx imagetools create --tag {WINE}:copy {WINE}:nowhere",
        f"login --username AWS {ECR}",
        "run hello-world",
        "",
    ],
)
def test_what_is_not_covered_is_refused(docker_of: Docker, capsys: pytest.CaptureFixture[str], line: str) -> None:
    logged_in(docker_of)
    dockerfile("FROM python:3.11")
    dockerfile("FROM python:3.11", "../beside/Dockerfile")
    Path("away").symlink_to("../beside")
    assert docker_of(line) == 1
    assert capsys.readouterr().err


def test_an_image_is_copied_with_its_digest(docker_of: Docker, registry_server: str, model_image: BuiltImage) -> None:
    registry.push(model_image, registry=registry_server, repository="wine", tag=REVISION)
    logged_in(docker_of)
    assert docker_of(f"buildx imagetools create --tag {WINE}:copied {registry_server}/wine:{REVISION}") == 0
    assert docker_of(f"buildx imagetools create -t {WINE}:again {WINE}@{model_image.digest}") == 0
    assert digest(registry_server, "copied") == digest(registry_server, "again") == model_image.digest


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
