"""The scripts, run by the shells that builders have, on commits that want out."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ephemeral_endpoints.features.images.builds.policy import Commit
from ephemeral_endpoints.features.images.builds.source_check import CHECK, FETCH, REFUSED, check_arguments

SHELLS = [each for each in ("dash", "bash", "busybox") if shutil.which(each)]
SHA = "1f0c2a9" + "0" * 33
HARMLESS = "FROM scratch\n"
ALLOWED = ("docker/dockerfile:1*", "docker.io/docker/dockerfile@sha256:*")
IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}

Done = subprocess.CompletedProcess[str]


def check(folder: Path, commit: Commit, *, resolved: str = SHA, shell: str = "dash") -> Done:
    program = [shell, "sh"] if shell == "busybox" else [shell]
    return subprocess.run(  # noqa: S603 - the script is what is tested
        [*program, "-c", CHECK, "check", resolved, *check_arguments(commit)],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def of(**options: str | tuple[str, ...]) -> Commit:
    return Commit("https://github.com/acme/sentiment.git", SHA, **options)  # type: ignore[arg-type]  # of its fields


def write(folder: Path, content: str | bytes, name: str = "Dockerfile") -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("context", "dockerfile"),
    [
        (".", "Dockerfile"),
        ("models/sentiment", "Dockerfile"),
        ("models/sentiment", "docker/Dockerfile.gpu"),
        ("-n", "--help"),
    ],
)
def test_a_dockerfile_in_the_repository_is_built(tmp_path: Path, shell: str, context: str, dockerfile: str) -> None:
    write(tmp_path, HARMLESS, f"{context}/{dockerfile}")
    done = check(tmp_path, of(context=context, dockerfile=dockerfile), shell=shell)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("link", "target", "context", "dockerfile", "reason"),
    [
        ("model", "../secrets", "model", "Dockerfile", "the context is the builder's own folder"),
        ("model", "../secrets", "model/deeper", "Dockerfile", "so is a folder below the context"),
        ("model/docker", "../../secrets", "model", "docker/Dockerfile", "the Dockerfile's folder is"),
        ("model/Dockerfile", "../../secrets/config.json", "model", "Dockerfile", "the Dockerfile is a file of it"),
        ("model", "real", "model", "Dockerfile", "it stays in the repository today, another commit may differ"),
        ("model", "/nowhere", "model", "Dockerfile", "it leads to what exists elsewhere"),
    ],
)
def test_a_link_is_refused_before_anything_is_read(  # noqa: PLR0917 - the columns of the table
    tmp_path: Path, shell: str, link: str, target: str, context: str, dockerfile: str, reason: str
) -> None:
    source = tmp_path / "source"
    write(tmp_path, HARMLESS, "secrets/Dockerfile")
    write(tmp_path, HARMLESS, "secrets/deeper/Dockerfile")
    write(tmp_path, '{"auths": {}}', "secrets/config.json")
    write(source, HARMLESS, "real/Dockerfile")
    (source / link).parent.mkdir(parents=True, exist_ok=True)
    (source / link).symlink_to(target)
    done = check(source, of(context=context, dockerfile=dockerfile), shell=shell)
    assert (done.returncode, done.stdout) == (REFUSED, ""), reason
    assert "is a symbolic link, which may lead out of the repository" in done.stderr
    assert "auths" not in done.stderr


@pytest.mark.parametrize(
    ("context", "dockerfile", "reported"),
    [
        ("..", "Dockerfile", "may lead out"),
        ("model/../..", "Dockerfile", "may lead out"),
        ("model", "Dockerfile", "has no file model/Dockerfile"),
        (".", "model", "has no file ./model"),
    ],
)
def test_what_is_not_a_file_of_the_repository_is_refused(
    tmp_path: Path, context: str, dockerfile: str, reported: str
) -> None:
    write(tmp_path, HARMLESS)
    (tmp_path / "source/model").mkdir(parents=True)
    done = check(tmp_path / "source", of(context=context, dockerfile=dockerfile))
    assert done.returncode == REFUSED
    assert reported in done.stderr


def test_a_name_that_looks_like_a_commit_is_refused(tmp_path: Path) -> None:
    done = check(write(tmp_path, HARMLESS), Commit("", "a" * 64), resolved=SHA)
    assert done.returncode == REFUSED
    assert f"is not the SHA of a commit but the name of a branch or tag, which can move: use {SHA}" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("# syntax=mallory/frontend\nFROM scratch", "as it is written"),
        ("#syntax = mallory/frontend\nFROM scratch", "with blanks"),
        ("# SynTax=mallory/frontend\r\nFROM scratch", "in another case, with the ends of lines of Windows"),
        ("#\u00a0syntax=mallory/frontend\nFROM scratch", "behind a blank that only Unicode knows"),
        ("#\x85syntax=mallory/frontend".encode("latin-1"), "which need not even be valid UTF-8"),
        ("# escape=`\n# syntax=mallory/frontend\nFROM scratch", "after another directive"),
        ("\ufeff# syntax=mallory/frontend\nFROM scratch", "after a byte order mark"),
        ("#!/usr/bin/env docker\n# syntax=mallory/frontend\nFROM scratch", "after a shebang"),
        ("// syntax=mallory/frontend", "in another style, with no line end"),
        ("#!/x\n//syntax=mallory/frontend\n", "both"),
        ('{"syntax": "mallory/frontend"}', "in JSON"),
        ('\ufeff \n\t{\n"syntax": "mallory/frontend"}', "in JSON after blanks"),
        ('#!/x\n{"syntax": "mallory/frontend"}', "in JSON after a shebang"),
        (b"# syntax=mallory/frontend\0:x\nFROM scratch", "with a zero byte"),
        (b"#\0syntax=mallory/frontend\nFROM scratch", "BuildKit takes none here, the check does"),
        ("# syntax=docker/dockerfile:1\n# syntax=mallory/frontend\nFROM scratch", "the second of two"),
        ("# syntax=docker/dockerfile-upstream:1\nFROM scratch", "another one of the same owner"),
        ("# syntax=mallory/docker/dockerfile:1\nFROM scratch", "it ends with an allowed one"),
        ("# syntax=mallory/frontend docker/dockerfile:1\nFROM scratch", "the rest is its command line"),
        ("# syntax=docker.io/docker/dockerfile:1\nFROM scratch", "allowed by its digest only"),
    ],
)
def test_a_frontend_that_the_class_does_not_allow_is_refused(
    tmp_path: Path, shell: str, content: str | bytes, reason: str
) -> None:
    done = check(write(tmp_path, content), of(frontends=ALLOWED), shell=shell)
    assert done.returncode == REFUSED, reason
    assert "the commit cannot be built: " in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("# syntax=docker/dockerfile:1\nFROM scratch", "allowed"),
        ("# syntax=docker/dockerfile:1.7-labs  --with arguments\r\nFROM scratch", "with a command line of its own"),
        ("//syntax=docker/dockerfile:1", "in another style"),
        (f"# syntax=docker.io/docker/dockerfile@sha256:{'a' * 64}\nFROM scratch", "by its digest"),
        ("# check=skip=all\n# escape=`\nFROM scratch", "no frontend at all"),
        ("FROM scratch\n# syntax=mallory/frontend", "below an instruction it is a comment"),
        ("# see the syntax below\n\nFROM scratch\nLABEL a=b", "prose"),
        ('FROM scratch\nRUN <<EOF\n{"syntax": "mallory/frontend"}\nEOF', "text of a command"),
        ("\n\n  \nFROM scratch", "blank lines first"),
        ("", "empty, which BuildKit itself refuses"),
    ],
)
def test_a_frontend_that_the_class_allows_is_used(tmp_path: Path, shell: str, content: str, reason: str) -> None:
    done = check(write(tmp_path, content), of(frontends=ALLOWED), shell=shell)
    assert (done.returncode, done.stderr) == (0, ""), reason


def test_without_allowed_frontends_only_buildkits_own_is_used(tmp_path: Path) -> None:
    assert check(write(tmp_path, HARMLESS), of()).returncode == 0
    done = check(write(tmp_path, "# syntax=docker/dockerfile:1\nFROM scratch"), of())
    assert done.returncode == REFUSED
    assert "ask the platform team to add it to spec.builds.allowedFrontends" in done.stderr


def detected(content: bytes) -> bytes | None:
    """The frontend that BuildKit finds, as frontend/dockerfile/parser/directives.go of its repository does."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    if content.startswith(b"#!"):
        content = content.partition(b"\n")[2]
    for comment in (b"#", b"//"):
        seen = set()
        for line in content.split(b"\n"):
            rest = line.removesuffix(b"\r").removeprefix(comment)
            text = rest.decode("latin-1").lstrip().encode("latin-1")
            match = re.fullmatch(rb"(?s)([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+?)[\t\n\f\r ]*", text)
            if not line.startswith(comment) or not match or match[1].lower() not in {b"syntax", b"escape", b"check"}:
                break
            if (name := match[1].lower()) == b"syntax":
                return match[2].partition(b" ")[0]
            if name in seen:
                break
            seen.add(name)
    try:
        document = json.loads(content)
    except ValueError:
        return None
    return str(document["syntax"]).encode() if isinstance(document, dict) and "syntax" in document else None


PIECES = st.sampled_from(
    [
        *(
            b"#",
            b"//",
            b"#!",
            b"\xef\xbb\xbf",
            b" ",
            b"\t",
            b"\r",
            b"\n",
            b"\0",
            b"\xc2\xa0",
            b"\x0b",
            b"=",
            b"{",
            b"}",
        ),
        *(b"syntax", b"SYNTAX", b"escape", b"check", b"x", b"docker/dockerfile:1", b"mallory/frontend", b'"', b":"),
        *(b"# syntax=", b"//syntax = ", b'{"syntax": "', b"FROM scratch\n", b"escape=`\n# ", b"-n", b"\\"),
    ]
)


@settings(deadline=None, max_examples=150)
@given(pieces=st.lists(PIECES, max_size=14))
def test_whatever_buildkit_finds_in_a_dockerfile_the_check_has_found(
    tmp_path_factory: pytest.TempPathFactory, pieces: Sequence[bytes]
) -> None:
    content = b"".join(pieces)
    folder = write(tmp_path_factory.mktemp("source"), content)
    found = detected(content)
    if found is not None and not re.match(rb"docker/dockerfile:1", found):
        assert check(folder, of(frontends=ALLOWED)).returncode == REFUSED


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with a commit, and a branch whose name has the form of a SHA-256."""
    folder = tmp_path / "origin"
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(folder))
    write(folder, HARMLESS)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=all")
    git(folder, "branch", "a" * 64)
    return folder


def git(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True)  # noqa: S603, S607 - on the path
    return done.stdout.strip()


def fetch(tmp_path: Path, origin: Path, revision: str, **variables: str) -> Done:
    source = tmp_path / "source"
    source.mkdir()
    commit = Commit(f"file://{origin}", revision)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SOURCE": str(source), **variables}
    return subprocess.run(  # noqa: S603 - the script is what is tested
        ["/bin/sh", "-c", FETCH, "source", *check_arguments(commit)],
        env={**environment, "LOCATION": commit.location, "REVISION": revision},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_job_checks_the_very_commit(tmp_path: Path, origin: Path) -> None:
    sha = git(origin, "rev-parse", "HEAD")
    write(origin, "# syntax=mallory/frontend\nFROM scratch")
    git(origin, "commit", "--quiet", "--all", "--message=later")
    done = fetch(tmp_path, origin, sha)
    assert (done.returncode, done.stderr) == (0, "")
    shutil.rmtree(tmp_path / "source")
    done = fetch(tmp_path, origin, git(origin, "rev-parse", "HEAD"))
    assert done.returncode == REFUSED
    assert "does not allow the frontend mallory/frontend" in done.stderr


def test_a_job_builds_no_branch_that_is_named_like_a_commit(tmp_path: Path, origin: Path) -> None:
    assert fetch(tmp_path, origin, "a" * 64).returncode != 0


def test_a_job_does_not_follow_a_link_of_the_commit(tmp_path: Path, origin: Path) -> None:
    (origin / "Dockerfile").unlink()
    (origin / "Dockerfile").symlink_to("/etc/passwd")
    git(origin, "commit", "--quiet", "--all", "--message=link")
    done = fetch(tmp_path, origin, git(origin, "rev-parse", "HEAD"))
    assert done.returncode == REFUSED
    assert "Dockerfile is a symbolic link" in done.stderr
