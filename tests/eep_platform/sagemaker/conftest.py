import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import boto3
import pytest
import requests
from aiohttp import web
from botocore.config import Config

from eep_platform.containers.image import DOCKER_MANIFEST, ImageConfig, LocalImage
from eep_platform.emulation.account import Account
from eep_platform.processes import free_port
from eep_platform.sagemaker.app import application

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient
    from types_boto3_sagemaker_runtime import SageMakerRuntimeClient

    from eep_platform.containers.runtime import ContainerRuntime

ACCOUNT, REGION = "000000000000", "us-east-1"
REPOSITORY = "models/sentiment"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}:1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/execution"
SERVER = Path(__file__).with_name("model_server.py")

# The emulator lets only its own services publish events of AWS; SageMaker is one of AWS's services.
MINISTACK = """
import functools
from ministack.services import eventbridge
eventbridge._put_events = functools.partial(eventbridge._put_events, allow_aws_source=True)
from ministack.app import main
main()
"""


def eventually(check: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:  # noqa: ANN401 - as typed as JSON and boto3 are
    """The first true value that `check` gives."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := check():
            return value
        time.sleep(0.02)
    return pytest.fail(f"not within {seconds} s: {what}")


class ProcessContainer:
    """A model server that runs as a process of this machine."""

    def __init__(
        self,
        environment: Mapping[str, str],
        folders: Mapping[str, Path | None],
        on_log: Callable[[str], None],
    ) -> None:
        port = free_port()
        self.base_url = f"http://127.0.0.1:{port}"
        data = {name: str(folder) for name, folder in folders.items() if folder}
        self._process = subprocess.Popen(  # noqa: S603 - a fixed program, no shell
            [sys.executable, str(SERVER)],
            env={"PATH": os.environ["PATH"], "SAGEMAKER_BIND_TO_PORT": str(port), **environment, **data},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(on_log,), daemon=True)
        self._reader.start()

    def exit_code(self) -> int | None:
        return self._process.poll()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=60)
        self._reader.join(timeout=60)

    def _read(self, on_log: Callable[[str], None]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                on_log(line.rstrip("\n"))


class ProcessRuntime:
    """Runs the model server above whatever the image; knows which references were pulled."""

    def __init__(self) -> None:
        self.pulled: list[str] = []

    def pull(self, reference: str) -> LocalImage:
        self.pulled.append(reference)
        return LocalImage(reference, ImageConfig(command=("a", "command", "of", "the", "image")), None)

    def run(
        self,
        image: LocalImage,
        *,
        name: str,
        environment: Mapping[str, str],
        model_data: Path | None,
        on_log: Callable[[str], None],
        additional_data: Path | None = None,
    ) -> ProcessContainer:
        assert image.config.argv == ("serve",), "SageMaker replaces CMD"
        assert len(name) <= 63
        folders = {"MODEL_DATA": model_data, "ADDITIONAL_DATA": additional_data}
        return ProcessContainer(environment, folders, on_log)


@dataclass(frozen=True)
class Service:
    """The service under test, as its callers see it."""

    url: str
    aws_url: str
    runtime: ProcessRuntime
    digest: str
    sagemaker: "SageMakerClient"
    invoker: "SageMakerRuntimeClient"

    image = IMAGE
    role = ROLE
    eventually = staticmethod(eventually)

    def aws(self, service: str) -> Any:  # noqa: ANN401 - as typed as JSON and boto3 are
        return client(service, self.aws_url)

    def client(self, name: str) -> Any:  # noqa: ANN401 - as typed as JSON and boto3 are
        """A client of another service that is served here."""
        return client(name, self.url)

    def settings(self, **patch: object) -> None:
        answer = requests.patch(f"{self.url}/_sagemaker/settings", json=patch, timeout=60)
        assert answer.status_code == 200, answer.text

    def state(self) -> Any:  # noqa: ANN401 - as typed as JSON and boto3 are
        return requests.get(f"{self.url}/_sagemaker/state", timeout=60).json()

    def flush(self) -> None:
        assert requests.post(f"{self.url}/_sagemaker/flush", timeout=60).status_code == 204

    def name(self) -> str:
        return f"t-{uuid4().hex[:12]}"

    def model(self, *, image: str = IMAGE, data: str | None = None, **environment: str) -> str:
        name = self.name()
        container: Any = {"Image": image, "Environment": environment}
        if data:
            container["ModelDataUrl"] = data
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        return name

    def config(self, model: str | None = None, *, instances: bool = False, concurrency: int = 2) -> str:
        name = self.name()
        capacity: Any = (
            {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
            if instances
            else {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": concurrency}}
        )
        variant: Any = {"VariantName": "AllTraffic", "ModelName": model or self.model(), **capacity}
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        return name

    def instances(self, model: str | None = None, *, variant: str = "AllTraffic", count: int = 1, **more: Any) -> Any:  # noqa: ANN401 - as typed as JSON and boto3 are
        """A variant on instances."""
        shape = {"InstanceType": "ml.m5.large", "InitialInstanceCount": count}
        return {"VariantName": variant, "ModelName": model or self.model(), **shape, **more}

    def config_of(self, *variants: Any, **more: Any) -> str:  # noqa: ANN401 - as typed as JSON and boto3 are
        name = self.name()
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=list(variants), **more)
        return name

    def endpoint(self, config: str | None = None, *, status: str = "InService") -> str:
        name = self.name()
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config or self.config())
        self.wait(name, status)
        return name

    def status(self, name: str) -> str:
        return self.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]

    def wait(self, name: str, status: str) -> None:
        eventually(lambda: self.status(name) == status, f"endpoint {name} {status}")

    def invoke(self, name: str, body: str = "x", **more: Any) -> Any:  # noqa: ANN401 - as typed as JSON and boto3 are
        return json.loads(self.invoker.invoke_endpoint(EndpointName=name, Body=body, **more)["Body"].read())


@contextmanager
def served(runtime: object, aws_url: str, state: Path) -> Iterator[str]:
    """Run the service in a thread of its own; gives its URL."""
    loop, stopping, listening = asyncio.new_event_loop(), asyncio.Event(), Future[int]()

    async def serve() -> None:
        app = await application(
            runtime=cast("ContainerRuntime", runtime),
            aws_endpoint=aws_url,
            account=Account(ACCOUNT, REGION),
            state=state,
        )
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        listening.set_result(runner.addresses[0][1])
        await stopping.wait()
        await runner.cleanup()

    with asyncio.Runner(loop_factory=lambda: loop) as loops:
        thread = threading.Thread(target=loops.run, args=(serve(),))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.result(timeout=120)}"
        finally:
            loop.call_soon_threadsafe(stopping.set)
            thread.join()


def client(service: str, url: str) -> Any:  # noqa: ANN401 - as typed as JSON and boto3 are
    config = Config(retries={"total_max_attempts": 1}, read_timeout=120, s3={"addressing_style": "path"})
    factory: Any = boto3.client
    return factory(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="test",  # noqa: S106 - an emulator's, which checks none
        config=config,
    )


@pytest.fixture(scope="session")
def ministack() -> Iterator[str]:
    port = free_port()
    environment = os.environ | {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1"}
    process = subprocess.Popen(  # noqa: S603 - a fixed program, no shell
        [sys.executable, "-c", MINISTACK], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: _answers(url), "ministack answers")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/_ministack/health", timeout=60).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="session")
def digest(ministack: str) -> str:
    """The digest of the image that models name; only its manifest exists, for no engine runs it here."""
    ecr = client("ecr", ministack)
    ecr.create_repository(repositoryName=REPOSITORY)
    return put_manifest(ecr, "1", DOCKER_MANIFEST)


def put_manifest(ecr: Any, tag: str, media_type: str) -> str:  # noqa: ANN401 - as typed as JSON and boto3 are
    """Push a manifest of a media type to the models' repository; returns its digest."""
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "layers": []})
    answer = ecr.put_image(
        repositoryName=REPOSITORY, imageManifest=manifest, imageManifestMediaType=media_type, imageTag=tag
    )
    return str(answer["image"]["imageId"]["imageDigest"])


@pytest.fixture(scope="session")
def running_service(ministack: str, digest: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    runtime = ProcessRuntime()
    with served(runtime, ministack, tmp_path_factory.mktemp("sagemaker")) as url:
        yield Service(url, ministack, runtime, digest, client("sagemaker", url), client("sagemaker-runtime", url))


@pytest.fixture
def short_lived_service(ministack: str, digest: str, tmp_path: Path) -> Callable[[], AbstractContextManager[Service]]:
    """A service that a test starts and ends itself."""

    @contextmanager
    def start() -> Iterator[Service]:
        runtime = ProcessRuntime()
        with served(runtime, ministack, tmp_path) as url:
            yield Service(url, ministack, runtime, digest, client("sagemaker", url), client("sagemaker-runtime", url))

    return start


@pytest.fixture
def service(running_service: Service) -> Iterator[Service]:
    """The service with its default settings, but quick."""
    quick = {"create_seconds": 0.05, "update_seconds": 0.05, "delete_seconds": 0.05, "rollback_seconds": 0.05}
    unlimited = dict.fromkeys(
        ("serverless_endpoints", "serverless_concurrency", "instances_of_any_other_type"), "unlimited"
    )
    fresh = dict.fromkeys(requests.get(f"{running_service.url}/_sagemaker/settings", timeout=60).json())
    running_service.settings(**fresh)
    running_service.settings(behaviour=quick, quotas=unlimited, side_channel_seconds=60, ping_timeout_seconds=60)
    requests.delete(f"{running_service.url}/_sagemaker/violations", timeout=60)
    yield running_service
    running_service.settings(**fresh)
