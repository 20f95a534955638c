"""The benchmark of the forwarder: what a request through it takes beyond the model's own time.

The function's package is downloaded from the embedded Lambda, as it was deployed, and run in processes of its own.
"""

import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import requests

from eep_platform import operator, platform
from eep_platform.bench import forwarder_program
from eep_platform.bench.figures import Spread
from eep_platform.bootstrap import EXAMPLE_REPOSITORY
from eep_platform.containers import engineless, registry
from eep_platform.containers.image import with_docker_types
from eep_platform.errors import PlatformError
from eep_platform.paths import cache_dir
from eep_platform.workbench import Workbench
from ephemeral_endpoints.features.routing.forwarder import packing

REQUESTS: Final = 500
"""Requests that are measured."""

IMPORTS: Final = 9
"""How often the function is imported, each time in a new process."""

_NAME: Final = "benched"
_REVISION: Final = "0123abc"
_INSTANCES: Final = 4
"""Wines in the request, which make it a kilobyte."""

_SAMPLE: Final = Path("samples", "valid", "named.json")
_TIMEOUT_SECONDS: Final = 60

Say = Callable[[str], None]


def measure(state: Path, model: Path, *, provider: str, say: Say) -> dict[str, Any]:
    """Measure the forwarder before the model in a folder, on a new platform, which is removed afterwards.

    Returns all of ``Forwarder`` but the machine. Raises PlatformError if the platform or the model fails.
    """
    began = time.monotonic()

    def log(what: str) -> None:
        say(f"[forwarder, {time.monotonic() - began:5.0f} s] {what}")

    log("starting a platform")
    try:
        running = platform.up(state, provider=provider, report=log)
        bench = Workbench(running)
        image = engineless.prepare(
            model.resolve(), arguments={"MODEL_REVISION": _REVISION}, cache=cache_dir() / "images", report=log
        ).image()
        built = with_docker_types(image)
        registry.push(built, registry=running.registry, repository=EXAMPLE_REPOSITORY, tag=_NAME)
        operator.start(running, {})
        bench.apply(_NAME, _spec(bench, model))
        bench.wait_ready(_NAME)
        package, environment = _package(bench), running.environment
        with tempfile.TemporaryDirectory(prefix="eep-bench-") as folder:
            zipfile.ZipFile(io.BytesIO(package)).extractall(folder)
            request = _request(model)
            log(f"importing the function {IMPORTS} times")
            imports = [run(folder, environment, "import")["import"][0] for _ in range(IMPORTS)]
            log(f"sending {REQUESTS} requests of {len(request)} bytes")
            sent = {"body": request.decode(), "token": bench.token(_NAME), "requests": REQUESTS}
            times = run(folder, environment, "requests", sent)
    finally:
        platform.down(state, report=lambda _: None)
    page = len(gzip.compress(packing.document().encode()))
    spreads = {name: Spread.of(values) for name, values in {"imported": imports, **times}.items()}
    return {**spreads, "request_bytes": len(request), "bundle_bytes": len(package), "page_bytes": page}


def _spec(bench: Workbench, model: Path) -> dict[str, Any]:
    return {
        "source": {"repository": "acme/wine", "pullRequest": 1, "revision": _REVISION},
        "model": {"image": bench.image_uri(_NAME)},
        "api": {f"{side}Schema": {"inline": _schema(model, side)} for side in ("request", "response")},
    }


def _schema(model: Path, side: str) -> dict[str, Any]:
    """The model's own schema; what it uses of draft 7 means the same in the draft that the API takes."""
    schema: dict[str, Any] = json.loads((model / "schemas" / f"{side}.schema.json").read_bytes())
    del schema["$schema"]
    return schema


def _request(model: Path) -> bytes:
    [instance] = json.loads((model / _SAMPLE).read_bytes())["instances"]
    return json.dumps({"instances": [instance] * _INSTANCES}).encode()


def _package(bench: Workbench) -> bytes:
    """The deployed package of the only function."""
    [name] = bench.contents()["Function"]
    location = bench.aws("lambda").get_function(FunctionName=name)["Code"]["Location"]
    answer = requests.get(location, timeout=_TIMEOUT_SECONDS)
    answer.raise_for_status()
    return answer.content


def run(
    folder: str, environment: Mapping[str, str], what: str, given: Mapping[str, object] | None = None
) -> dict[str, list[float]]:
    """What the program prints, with the package unpacked in a folder. Raises PlatformError with its last line."""
    argv = [sys.executable, "-P", forwarder_program.__file__, what]
    done = subprocess.run(  # noqa: S603 - ours
        argv,
        env={**os.environ, **environment, "PYTHONPATH": folder},
        input=json.dumps(given or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PlatformError(f"the forwarder could not be measured: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found
