"""Names of images as builds write them, where those images are here, and who may have them."""

import base64
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ephemeral_endpoints.local.containers.errors import InvalidImage, RegistryError
from ephemeral_endpoints.local.containers.registry import EMBEDDED, Credentials, Reference
from ephemeral_endpoints.local.paths import write_atomically

_ECR = re.compile(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost):[0-9]+")


@dataclass(frozen=True, slots=True)
class Registries:
    """The registries that builds reach: ECR, which is at `embedded` (host:port), and any on the loopback interface."""

    embedded: str

    def refuse_unknown(self, host: str) -> None:
        """Raise InvalidImage for a registry that is neither."""
        if not (_ECR.fullmatch(host) or _LOOPBACK.fullmatch(host)):
            raise InvalidImage(f"{host}: the embedded CodeBuild reaches ECR and registries on 127.0.0.1 only")

    def locate(self, name: str) -> Reference:
        """Where an image is; without a tag or digest it is `latest`.

        Raises:
            InvalidImage: It is no name, or of another registry.
        """
        host, _, rest = name.partition("/")
        self.refuse_unknown(host)
        tagged = name if ":" in rest or "@" in rest else f"{name}:latest"
        found = Reference.parse(tagged)
        return Reference(self.embedded if _ECR.fullmatch(host) else host, found.repository, found.version)


def log_in(host: str, credentials: Credentials) -> None:
    """Remember credentials for a registry where Docker does."""
    logins = _logins() | {host: {"auth": base64.b64encode(":".join(credentials).encode()).decode()}}
    write_atomically(_config(), json.dumps({"auths": logins}))


def credentials_for(name: str) -> Credentials:
    """The credentials for the registry of an image.

    Raises:
        RegistryError: It wants some, and there was no login.
    """
    host = name.partition("/")[0]
    if not _ECR.fullmatch(host):
        return EMBEDDED
    login = _logins().get(host)
    if login is None:
        raise RegistryError(f"failed to authorize: {host}: no basic auth credentials")
    user, _, password = base64.b64decode(login["auth"]).decode().partition(":")
    return user, password


def _config() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def _logins() -> dict[str, dict[str, str]]:
    try:
        found: dict[str, dict[str, str]] = json.loads(_config().read_bytes())["auths"]
    except (FileNotFoundError, ValueError, KeyError):
        return {}
    return found
