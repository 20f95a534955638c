"""Image names in builds: their registries on this machine, and credentials for them."""

import base64
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from eep_platform.containers.errors import InvalidImage, RegistryError
from eep_platform.containers.references import EMBEDDED, Credentials, Reference
from eep_platform.paths import write_atomically

_ECR = re.compile(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.(com(\.cn)?|eu)")
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost):[0-9]+")


@dataclass(frozen=True, slots=True)
class Registries:
    """The registries that builds can reach: ECR, at `embedded` (host:port), and those on the loopback interface."""

    embedded: str

    def refuse_unknown(self, host: str) -> None:
        """Raise InvalidImage for any other registry."""
        if not (_ECR.fullmatch(host) or _LOOPBACK.fullmatch(host)):
            raise InvalidImage(f"{host}: the embedded CodeBuild reaches only ECR and registries on 127.0.0.1")

    def locate(self, name: str) -> Reference:
        """The location of an image; the default tag is `latest`.

        Raises:
            InvalidImage: The name is malformed or names another registry.
        """
        host, _, rest = name.partition("/")
        self.refuse_unknown(host)
        tagged = name if ":" in rest or "@" in rest else f"{name}:latest"
        found = Reference.parse(tagged)
        return Reference(self.embedded if _ECR.fullmatch(host) else host, found.repository, found.version)


def log_in(host: str, credentials: Credentials) -> None:
    """Store credentials for a registry in Docker's configuration file."""
    logins = _logins() | {host: {"auth": base64.b64encode(":".join(credentials).encode()).decode()}}
    write_atomically(config_file(), json.dumps({"auths": logins}))


def log_out(host: str) -> None:
    """Forget the credentials for a registry."""
    logins = {name: login for name, login in _logins().items() if name != host}
    write_atomically(config_file(), json.dumps({"auths": logins}))


def credentials_for(name: str) -> Credentials:
    """The credentials for the registry of an image.

    Raises:
        RegistryError: The registry needs credentials, and the build has not logged in.
    """
    host = name.partition("/")[0]
    if not _ECR.fullmatch(host):
        return EMBEDDED
    login = _logins().get(host)
    if login is None:
        raise RegistryError(f"failed to authorize: {host}: no basic auth credentials")
    user, _, password = base64.b64decode(login["auth"]).decode().partition(":")
    return user, password


def config_file() -> Path:
    """Docker's configuration file."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def _logins() -> dict[str, dict[str, str]]:
    try:
        found: dict[str, dict[str, str]] = json.loads(config_file().read_bytes())["auths"]
    except (FileNotFoundError, ValueError, KeyError):
        return {}
    return found
