"""The emulator of every AWS service but SageMaker, as a process of the platform."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import requests

import ephemeral_endpoints
from ephemeral_endpoints.local.paths import private_dir
from ephemeral_endpoints.local.processes import ManagedProcess, spawn

NAME = "ministack"
HEALTH = "/_ministack/ready"
ACCOUNT = "000000000000"
REGION = "us-east-1"

_PROBE_SECONDS = 2


def credentials() -> dict[str, str]:
    """What a client of the embedded AWS signs with: anything will do, and nothing of the user's own must leak in."""
    return {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": REGION}


def without_aws(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without the user's AWS configuration, so that no embedded part can reach a real account."""
    return {name: value for name, value in environ.items() if not name.startswith("AWS_")}


def environment(port: int, *, front: str, temporary: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The emulator's whole environment. Its Lambda workers inherit it, and so call AWS through the front."""
    interpreters = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    return {
        **without_aws(environ),
        **credentials(),
        "PATH": interpreters,
        "PYTHONPATH": str(Path(ephemeral_endpoints.__file__).parents[1]),
        "TMPDIR": str(temporary),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "LAMBDA_EXECUTOR": "local",
        "AWS_ENDPOINT_URL": front,
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": front,
    }


def start(state: Path, port: int, *, front: str) -> ManagedProcess:
    """Start the emulator on a port of the loopback interface; returns at once. See `processes.spawn` for errors."""
    temporary = private_dir(state.resolve() / NAME / "tmp")
    return spawn(
        NAME,
        [sys.executable, "-m", "ephemeral_endpoints.local.aws.emulator"],
        state=state,
        env=environment(port, front=front, temporary=temporary),
        cwd=temporary,
    )


def answers(url: str) -> bool:
    """Whether a GET of the URL succeeds; never longer than two seconds."""
    try:
        return requests.get(url, timeout=_PROBE_SECONDS).ok
    except requests.RequestException:
        return False
