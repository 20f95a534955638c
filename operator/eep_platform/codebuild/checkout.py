"""The source of a build: fetches a Git repository and checks out a version.

    python -m eep_platform.codebuild.checkout LOCATION VERSION FOLDER ANSWER

It is a separate program so that it ends with its build. It writes `{"commit": SHA}` or `{"error": message}` as JSON
to the file ANSWER.
"""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from dulwich import porcelain
from dulwich.client import get_transport_and_path
from dulwich.errors import GitProtocolError, NotGitRepository
from dulwich.index import InvalidPathError
from dulwich.objects import Commit, ObjectID, Tag
from dulwich.refs import Ref
from dulwich.repo import Repo
from urllib3.exceptions import HTTPError

_SHA = re.compile(r"[0-9a-f]{40}")
_REFERENCE_AND_SHA = re.compile(r"(?P<reference>.+)\^\{(?P<sha>[0-9a-f]{40})\}")
_SCHEMES = ("file://", "http://", "https://")
_PULL_REQUEST = re.compile(r"pr/(\d+)")


class CheckoutError(Exception):
    """There is no such repository or version, in CodeBuild's words."""


def check_out(location: str, version: str, folder: Path) -> str:
    """Check out a version into the empty folder `folder`; returns the SHA of the commit.

    `version` is a SHA, a branch, a tag, a full reference, `pr/N`, a reference with `^{SHA}`, or empty for the default.

    Raises:
        CheckoutError: There is no such repository or version, or its files cannot be written.
    """
    if not location.startswith(_SCHEMES):
        raise CheckoutError(f"repository not found: {location} must begin with one of {', '.join(_SCHEMES)}")
    named = f"for primary source and source version {version}"
    with Repo.init(folder) as repo:
        try:
            references = _fetch(location, repo)
        except (OSError, HTTPError, GitProtocolError, NotGitRepository) as error:
            raise CheckoutError(f"repository not found {named}") from error
        sha = _find(repo, references, version)
        if sha is None:
            raise CheckoutError(f"reference not found {named}")
        repo.refs[Ref(b"HEAD")] = sha
        try:
            porcelain.reset(repo, "hard", sha)
        except (OSError, InvalidPathError) as error:
            raise CheckoutError(f"source version {version} cannot be checked out: {error}") from error
        return sha.decode()


def _fetch(location: str, repo: Repo) -> Mapping[Ref, ObjectID]:
    """Fetch all references: the commit of a pull request may be on no branch or tag."""
    client, path = get_transport_and_path(location)

    def wanted(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:  # noqa: ARG001 (dulwich's)
        return [sha for sha in dict.fromkeys(refs.values()) if sha not in repo.object_store]

    answer = client.fetch(path, repo, determine_wants=wanted)
    return {name: sha for name, sha in answer.refs.items() if sha is not None}


def _find(repo: Repo, references: Mapping[Ref, ObjectID], version: str) -> ObjectID | None:
    if both := _REFERENCE_AND_SHA.fullmatch(version):
        version = both["sha"]
    if _SHA.fullmatch(version):
        return _commit(repo, ObjectID(version.encode()))
    if pull_request := _PULL_REQUEST.fullmatch(version):
        version = f"refs/pull/{pull_request[1]}/head"
    names = (version, f"refs/heads/{version}", f"refs/tags/{version}") if version else ("HEAD",)
    for name in names:
        if sha := references.get(Ref(name.encode())):
            return _commit(repo, sha)
    return None


def _commit(repo: Repo, sha: ObjectID) -> ObjectID | None:
    """The commit with this SHA, or the commit of the tag with this SHA."""
    if sha not in repo.object_store:
        return None
    found = repo.object_store[sha]
    if isinstance(found, Tag):
        return _commit(repo, found.object[1])
    return sha if isinstance(found, Commit) else None


def main(location: str, version: str, folder: str, answer: str) -> int:
    """Run as a program; returns its exit status."""
    try:
        outcome = {"commit": check_out(location, version, Path(folder))}
    except CheckoutError as error:
        outcome = {"error": str(error)}
        sys.stderr.write(f"{error}: {error.__cause__}\n" if error.__cause__ else "")
    Path(answer).write_text(json.dumps(outcome), encoding="utf-8")
    return int("error" in outcome)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
