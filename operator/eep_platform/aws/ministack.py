"""The emulator of all AWS services that have no emulation of our own, as a process of the platform."""

import os
import sys
from collections.abc import Mapping
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import eep_platform
from eep_platform.aws.authorizers import TIMEOUT_SECONDS
from eep_platform.paths import private_dir
from eep_platform.processes import ManagedProcess, spawn

NAME = "ministack"
HEALTH = "/_ministack/ready"
ACCOUNT = "000000000000"
REGION = "us-east-1"

CONCURRENT_EXECUTIONS = 1000
"""The account's quota of Lambda, as AWS sets it by default."""

_PROBE_SECONDS = 30
"""Long: what runs and does not answer is restarted, with all that it knows, and the machine may be busy."""


def credentials() -> dict[str, str]:
    """Credentials for clients of the embedded AWS, which accepts any; they replace the user's own."""
    return {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": REGION}


def without_aws(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without the user's AWS configuration, so that no part of the platform reaches a real account."""
    return {name: value for name, value in environ.items() if not name.startswith("AWS_")}


def environment(port: int, *, front: str, temporary: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The emulator's whole environment. Its Lambda workers inherit it, so they call AWS through the front."""
    interpreters = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    return {
        **without_aws(environ),
        **credentials(),
        "PATH": interpreters,
        "PYTHONPATH": str(Path(eep_platform.__file__).parents[1]),
        "TMPDIR": str(temporary),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "LAMBDA_EXECUTOR": "local",
        "MINISTACK_APIGW_JWKS_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
        "LAMBDA_ACCOUNT_CONCURRENCY": str(CONCURRENT_EXECUTIONS),
        "AWS_ENDPOINT_URL": front,
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": front,
    }


def start(state: Path, port: int, *, front: str) -> ManagedProcess:
    """Start the emulator on a port of the loopback interface; returns at once. For errors see `processes.spawn`."""
    temporary = private_dir(state.resolve() / NAME / "tmp")
    return spawn(
        NAME,
        [sys.executable, "-m", "eep_platform.aws.emulator"],
        state=state,
        env=environment(port, front=front, temporary=temporary),
        cwd=temporary,
    )


def answers(url: str) -> bool:
    """Whether a GET of the URL succeeds within half a minute."""
    # What starts is asked many times a second: a session for each request would take the processor from it.
    place = urlsplit(url)
    with closing(HTTPConnection(str(place.hostname), place.port, timeout=_PROBE_SECONDS)) as connection:
        try:
            connection.request("GET", place.path)
            return connection.getresponse().status < HTTPStatus.BAD_REQUEST
        except (OSError, HTTPException):
            return False
