"""What BuildKit's command line is told in a Job, and the files that it finds and leaves there."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from ephemeral_endpoints.api.v1alpha1.image_policy import JobBuild
from ephemeral_endpoints.features.images.builds.policy import KEPT_CACHE, REVISION_ARGUMENT, BuildTarget, Commit

WORK: Final = "/run/eep/build"
ARCHIVE: Final = f"{WORK}/image.tar"
NEW_CACHE: Final = f"{WORK}/cache"
SECRETS: Final = "/run/secrets/eep"
GIT_CREDENTIALS: Final = "/run/secrets/eep-git"
TOKEN: Final = "token"  # noqa: S105 - the key of a Secret, not its value


def cache_folders(target: BuildTarget) -> list[str]:
    """The folders of the caches that the image may be built from, in the order of ``BuildTarget.caches``."""
    return [f"{WORK}/cache-{number}" for number, _ in enumerate(target.caches)]


def arguments(settings: JobBuild, target: BuildTarget, commit: Commit) -> list[str]:
    """The arguments of buildctl as its process gets them: buildctl-daemonless.sh hands them on as ``"$@"``.

    Values of the request always follow a name and ``=``, and so cannot become an option of their own.
    """
    # buildctl, other than buildx, adds no attestation unless it is asked to.
    common = ["build", "--progress", "plain", "--frontend", "dockerfile.v0", "--opt", f"platform={target.platform}"]
    options = (part for option in _options(commit) for part in ("--opt", option))
    secrets = (part for secret in _secrets(settings, commit) for part in ("--secret", secret))
    # A folder without a cache is passed over.
    caches = (part for each in cache_folders(target) for part in ("--import-cache", f"type=local,src={each}"))
    kept = ("--export-cache", f"type=local,dest={NEW_CACHE},{KEPT_CACHE}")
    return [*common, *options, *secrets, *caches, *kept, "--output", f"type=oci,dest={ARCHIVE},rewrite-timestamp=true"]


def _options(commit: Commit) -> Iterator[str]:
    folder = "" if commit.context == "." else f":{commit.context}"
    yield f"context={commit.location}#{commit.revision}{folder}"
    yield f"filename={commit.dockerfile}"
    if commit.target:
        yield f"target={commit.target}"
    # The last of a name takes precedence: a class may let objects set the time, never the revision.
    yield "build-arg:SOURCE_DATE_EPOCH=0"
    for name, value in commit.arguments:
        yield f"build-arg:{name}={value}"
    yield f"build-arg:{REVISION_ARGUMENT}={commit.revision}"


def _secrets(settings: JobBuild, commit: Commit) -> Iterator[str]:
    if settings.git_secret:
        # With its host the token is sent nowhere else, even if the Dockerfile adds from other Git servers.
        yield f"id=GIT_AUTH_TOKEN.{urlsplit(commit.location).netloc},src={GIT_CREDENTIALS}/{TOKEN}"
    for id_, _ in commit.secrets:
        yield f"id={id_},src={SECRETS}/{id_}"
