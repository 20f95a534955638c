"""`make pins`: looks up the digests of the images that build images and of base images, and the commits of actions.

It writes them down, with the tags that they were looked up by.
"""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import requests

from eep_platform.containers.image import DIGEST, DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST
from ephemeral_endpoints.api.v1alpha1 import builder_images

_PIN = re.compile(r'(_pinned\(\s*"(?P<image>[^"]+)",\s*digest=")[^"]*(")')
_BASE = re.compile(r"^(ARG PYTHON_IMAGE=(?P<image>[^@\s]+))(@\S+)?$", re.MULTILINE)
_ACTION = re.compile(
    r"(uses: (?P<repository>(?:actions|aws-actions)/[\w-]+)@)(?:[0-9a-f]{40} # )?(?P<tag>v[\w.]+)$", re.MULTILINE
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_ACCEPT = f"{INDEX}, {DOCKER_INDEX}, {MANIFEST}, {DOCKER_MANIFEST}"
_HOSTS = {"docker.io": "registry-1.docker.io"}
_UNAUTHORIZED = 401
_TIMEOUT_SECONDS = 60


def pinned(source: str, digest_of: Callable[[str], str]) -> str:
    """The source of a module or a Dockerfile with the present digest of each image."""
    source = _PIN.sub(lambda found: f"{found[1]}{digest_of(found['image'])}{found[3]}", source)
    return _BASE.sub(lambda found: f"{found[1]}@{digest_of(found['image'])}", source)


def pinned_actions(workflow: str, commit_of: Callable[[str, str], str]) -> str:
    """The source of a workflow with the present commit of each action, whose tag stays as a comment."""
    return _ACTION.sub(
        lambda found: f"{found[1]}{commit_of(found['repository'], found['tag'])} # {found['tag']}", workflow
    )


def look_up_commit(repository: str, tag: str, host: str = "https://github.com") -> str:
    """The SHA of the commit that a tag of `owner/name` names.

    Raises:
        ValueError: There is no such tag.
        subprocess.CalledProcessError: Git cannot read the repository.
    """
    name = f"refs/tags/{tag}"
    argv = ["git", "ls-remote", f"{host}/{repository}.git", name, f"{name}^{{}}"]
    listed = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603 - the maintainer's
    refs = {ref: commit for commit, ref in map(str.split, listed.splitlines())}
    # An annotated tag is an object of its own; its commit is listed beside it.
    commit = refs.get(f"{name}^{{}}") or refs.get(name)
    if commit is None:
        raise ValueError(f"{repository} has no tag {tag}")
    return commit


def look_up(image: str, scheme: str = "https") -> str:
    """The digest of `registry/name:tag`, of the index if there is one.

    Source: https://distribution.github.io/distribution/spec/auth/token/

    Raises:
        ValueError: The registry gives none.
        requests.RequestException: The registry refuses, or does not answer.
    """
    host, _, rest = image.partition("/")
    name, _, tag = rest.rpartition(":")
    url = f"{scheme}://{_HOSTS.get(host, host)}/v2/{name}/manifests/{tag}"
    headers = {"Accept": _ACCEPT}
    answer = requests.head(url, headers=headers, timeout=_TIMEOUT_SECONDS)
    if answer.status_code == _UNAUTHORIZED:
        challenge = dict(_CHALLENGE.findall(answer.headers.get("WWW-Authenticate", "")))
        token = requests.get(challenge.pop("realm", ""), params=challenge, timeout=_TIMEOUT_SECONDS)
        token.raise_for_status()
        headers["Authorization"] = f"Bearer {token.json()['token']}"
        answer = requests.head(url, headers=headers, timeout=_TIMEOUT_SECONDS)
    answer.raise_for_status()
    digest = answer.headers.get("Docker-Content-Digest", "")
    if not DIGEST.fullmatch(digest):
        raise ValueError(f"{image}: the registry gives no digest")
    return digest


def main() -> None:
    """Write the digests, in the root of the repository; nothing is written unless all are found."""
    files = (Path(builder_images.__file__), Path("Dockerfile"), Path("model/Dockerfile"))
    sources = {file: pinned(file.read_text(encoding="utf-8"), look_up) for file in files}
    workflow = Path("examples/ci/github/preview.yaml")
    sources[workflow] = pinned_actions(workflow.read_text(encoding="utf-8"), look_up_commit)
    for file, source in sources.items():
        file.write_text(source, encoding="utf-8")


if __name__ == "__main__":
    main()
