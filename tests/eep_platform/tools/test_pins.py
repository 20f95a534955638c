import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from dulwich import porcelain
from dulwich.repo import Repo

from eep_platform.containers import registry
from eep_platform.containers.dockerfile import parse
from eep_platform.containers.image import BuiltImage
from eep_platform.git import GitHost
from eep_platform.tools.pins import look_up, look_up_commit, pinned, pinned_actions
from ephemeral_endpoints.api.v1alpha1 import builder_images

DIGEST = f"sha256:{'a' * 64}"
IMAGES = (builder_images.BUILDKIT, builder_images.ROOTLESS_BUILDKIT, builder_images.SKOPEO, builder_images.AWS_CLI)


def loaded(source: str) -> dict[str, str]:
    names: dict[str, str] = {}
    exec(source, names)  # noqa: S102 - the module itself
    return names


def test_every_image_gets_its_digest_and_a_newer_one_replaces_it() -> None:
    source = Path(builder_images.__file__).read_text(encoding="utf-8")
    asked: list[str] = []

    def digest_of(image: str) -> str:
        asked.append(image)
        return DIGEST

    once = pinned(source, digest_of)
    assert asked == [image.partition("@")[0] for image in IMAGES]
    assert loaded(once)["ROOTLESS_BUILDKIT"] == f"{asked[1]}@{DIGEST}"
    assert pinned(pinned(source, lambda _: f"sha256:{'b' * 64}"), digest_of) == once


@pytest.mark.parametrize("name", ["Dockerfile", "model/Dockerfile"])
def test_the_base_of_an_image_gets_its_digest(name: str) -> None:
    source = Path(name).read_text(encoding="utf-8")
    once = pinned(source, lambda image: DIGEST if image == "docker.io/library/python:3.11-slim" else image)
    assert f"\nARG PYTHON_IMAGE=docker.io/library/python:3.11-slim@{DIGEST}\n" in once
    assert pinned(pinned(source, lambda _: f"sha256:{'b' * 64}"), lambda _: DIGEST) == once
    assert parse(once, {}, {}).stages[0].base == f"docker.io/library/python:3.11-slim@{DIGEST}"


def test_the_digest_is_the_registrys(registry_server: str, model_image: BuiltImage) -> None:
    registry.push(model_image, registry=registry_server, repository="wine", tag="pinned")
    assert look_up(f"{registry_server}/wine:pinned", scheme="http") == model_image.digest
    with pytest.raises(requests.HTTPError):
        look_up(f"{registry_server}/wine:absent", scheme="http")


def test_an_action_gets_the_commit_of_its_tag_and_a_newer_one_replaces_it() -> None:
    source = Path("examples/ci/github/preview.yaml").read_text(encoding="utf-8")
    asked: set[tuple[str, str]] = set()

    def commit_of(repository: str, tag: str) -> str:
        asked.add((repository, tag))
        return "a" * 40

    once = pinned_actions(source, commit_of)
    assert asked == {("actions/checkout", "v5"), ("aws-actions/configure-aws-credentials", "v5")}
    assert f"uses: actions/checkout@{'a' * 40} # v5\n" in once
    assert pinned_actions(pinned_actions(source, lambda *_: "b" * 40), commit_of) == once


def test_the_commit_is_the_one_that_the_tag_names(tmp_path: Path) -> None:
    commit = GitHost(tmp_path).push("actions/checkout", "main", {"action.yml": b""}, message="Release")
    with Repo(str(tmp_path / "actions/checkout.git")) as repo:
        porcelain.tag_create(repo, "v4", objectish=commit)
        porcelain.tag_create(repo, "v5", objectish=commit, annotated=True, author=b"a <a@b>", message=b"v5")
    for tag in ("v4", "v5"):
        assert look_up_commit("actions/checkout", tag, host=str(tmp_path)) == commit
    with pytest.raises(ValueError, match="actions/checkout has no tag v6"):
        look_up_commit("actions/checkout", "v6", host=str(tmp_path))


class Guarded(BaseHTTPRequestHandler):
    """A registry that wants a token, as public ones do, and the service that gives it."""

    def do_HEAD(self) -> None:
        if self.headers.get("Authorization") == "Bearer t":
            self._answer(200, {"Docker-Content-Digest": DIGEST} if "digest" in self.path else {})
        else:
            realm = f"http://{self.headers['Host']}/token"
            self._answer(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="s",scope="repository:a/b:pull"'})

    def do_GET(self) -> None:
        assert self.path == "/token?service=s&scope=repository%3Aa%2Fb%3Apull"
        self._answer(200, {}, b'{"token": "t"}')

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def guarded() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Guarded)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_registry_that_wants_a_token_gets_it(guarded: str) -> None:
    assert look_up(f"{guarded}/a/b:digest", scheme="http") == DIGEST
    with pytest.raises(ValueError, match="the registry gives no digest"):
        look_up(f"{guarded}/a/b:none", scheme="http")
