import json
import os
import signal
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import requests
from tests.fixtures.containers import MODEL, REVISION

from eep_platform import processes
from eep_platform.containers import isolation
from eep_platform.containers.errors import InvalidImage
from eep_platform.containers.image import BIND_TO_PORT_LABEL, ImageConfig, LocalImage
from eep_platform.containers.process_runtime import ProcessContainer, ProcessRuntime
from eep_platform.paths import cache_dir

SAMPLE = MODEL / "samples" / "valid" / "named.json"
PROBE = """
import json, os, pathlib
facts = {"environment": dict(os.environ), "uid": os.getuid(), "pid": os.getpid(), "cwd": os.getcwd()}
proc = pathlib.Path("/proc/self/status")
status = dict(line.split(":", 1) for line in proc.read_text().splitlines()) if proc.exists() else {}
facts["capabilities"] = [status.get(name, "0").strip() for name in ("CapEff", "CapPrm", "CapBnd")]
facts["machine"] = [path for path in ("/home", "/etc/hostname") if os.path.exists(path)]
model = pathlib.Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
facts["model"] = {path.name: path.read_text() for path in model.glob("*")}
try:
    pathlib.Path("/opt/evil").touch()
    facts["writable"] = True
except OSError:
    facts["writable"] = False
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def image(pushed_image: str, tmp_path_factory: pytest.TempPathFactory) -> LocalImage:
    # Unpacked once per machine: the store is made to be shared.
    return ProcessRuntime(cache_dir() / "store", tmp_path_factory.mktemp("pull")).pull(pushed_image)


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ProcessRuntime]:
    yield ProcessRuntime(cache_dir() / "store", tmp_path)
    processes.stop_all(tmp_path)


def serve(runtime: ProcessRuntime, image: LocalImage, log: list[str]) -> ProcessContainer:
    container = runtime.run(image, name="wine", environment={}, model_data=None, on_log=log.append)
    processes.wait_until(lambda: _answers(container), seconds=120, what="the model", process=container.process)
    return container


def _answers(container: ProcessContainer) -> bool:
    try:
        return requests.get(f"{container.base_url}/ping", timeout=60).ok
    except requests.ConnectionError:
        return False


def probe(
    runtime: ProcessRuntime, image: LocalImage, code: str = PROBE, model_data: Path | None = None
) -> tuple[int, list[str]]:
    log: list[str] = []
    config = replace(image.config, entrypoint=("python", "-c", code), command=())
    container = runtime.run(
        replace(image, config=config),
        name="probe",
        environment={"GIVEN": "1"},
        model_data=model_data,
        on_log=log.append,
    )
    processes.wait_until(lambda: container.exit_code() is not None, seconds=120, what="the probe")
    container.stop()
    code_ = container.exit_code()
    assert code_ is not None
    return code_, log


def test_a_pulled_image_serves_the_predictions_of_its_model(runtime: ProcessRuntime, image: LocalImage) -> None:
    log: list[str] = []
    container = serve(runtime, image, log)
    headers = {"Content-Type": "application/json"}
    answer = requests.post(f"{container.base_url}/invocations", data=SAMPLE.read_bytes(), headers=headers, timeout=60)
    assert answer.json()["revision"] == REVISION
    assert answer.json()["predictions"][0]["label"] == "class_0"
    assert container.exit_code() is None
    container.stop()
    assert not _answers(container)
    assert container.exit_code() is not None
    events = [json.loads(line)["event"] for line in log]
    assert events[0] == "model loaded"
    assert "invocation" in events


@pytest.mark.parametrize("mode", ["namespaces", "chroot"])
def test_a_container_sees_its_image_and_its_variables_and_nothing_else(
    runtime: ProcessRuntime, image: LocalImage, monkeypatch: pytest.MonkeyPatch, mode: isolation.Mode
) -> None:
    if mode == "chroot" and os.geteuid() != 0:
        pytest.skip("only root may chroot")
    if mode == "namespaces" and isolation.best_mode() != "namespaces":
        pytest.skip("this machine allows no namespaces")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "host-secret")
    code, log = probe(replace(runtime, mode=mode), image)
    facts = json.loads(log[0])
    assert code == 0
    shared = {"SAGEMAKER_BIND_TO_PORT", "BIND_HOST"} if mode == "chroot" else set()
    assert set(facts["environment"]) == {
        *image.config.environment, "GIVEN", *shared
    } | (facts["environment"].keys() & {"LC_CTYPE"})  # fmt: skip
    assert facts["machine"] == []
    # Without mounts of its own root could change the image, which containers share.
    assert facts["uid"] == (0 if mode == "namespaces" else 65534)
    assert {int(each, 16) for each in facts["capabilities"]} == {0}
    assert facts["cwd"] == "/opt/program"
    assert not facts["writable"]


def test_without_privileges_the_images_own_loader_runs_it(runtime: ProcessRuntime, image: LocalImage) -> None:
    assert image.rootfs is not None
    spec = isolation.prepare(
        image.rootfs,
        ["python", "-c", "import sklearn, sys; print(sys.prefix, sklearn.__file__)"],
        mode="loader",
        environment=image.config.environment,
        working_dir="/opt/program",
        user=(os.getuid(), os.getgid()),
        exit_file=runtime.state / "exit",
    )
    process = processes.spawn("loader", spec.write(runtime.state / "spec"), state=runtime.state, env={})
    processes.wait_until((runtime.state / "exit").exists, seconds=120, what="the probe")
    prefix, module = process.log.read_text().split()
    assert prefix == str(image.rootfs / "usr" / "local")
    assert module.startswith(str(image.rootfs))


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
def test_model_data_is_found_where_sagemaker_puts_it(
    runtime: ProcessRuntime, image: LocalImage, tmp_path: Path, *, packed: bool
) -> None:
    if isolation.best_mode() == "chroot":
        pytest.skip("model data needs a mount, which this machine does not allow")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "weights").write_text("42")
    data = folder
    if packed:
        data = tmp_path / "model.tar.gz"
        with tarfile.open(data, "w:gz") as archive:
            archive.add(folder / "weights", "weights")
    _, log = probe(runtime, image, model_data=data)
    assert json.loads(log[0])["model"] == {"weights": "42"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("raise SystemExit(3)", 3, id="an exit"),
        pytest.param("import ctypes; ctypes.string_at(0)", 139, id="a signal: 128 + SIGSEGV"),
    ],
)
def test_how_a_container_ended_is_known(runtime: ProcessRuntime, image: LocalImage, code: str, expected: int) -> None:
    assert probe(runtime, image, code)[0] == expected


def test_a_program_that_is_not_there_is_said_in_the_log(runtime: ProcessRuntime, image: LocalImage) -> None:
    log: list[str] = []
    absent = replace(image, config=replace(image.config, entrypoint=("no-such-program",)))
    container = runtime.run(absent, name="absent", environment={}, model_data=None, on_log=log.append)
    processes.wait_until(lambda: container.exit_code() is not None, seconds=120, what="the end")
    container.stop()
    assert container.exit_code() == 127
    assert "no-such-program" in log[0]


def test_nothing_of_a_container_outlives_the_kill_of_its_parent(runtime: ProcessRuntime, image: LocalImage) -> None:
    container = serve(runtime, image, [])
    family = psutil.Process(container.process.pid).children(recursive=True)
    os.kill(container.process.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=60)
    assert family
    assert alive == []
    assert container.exit_code() == 137
    container.stop()


def without_label(image: LocalImage, code: str = "") -> LocalImage:
    labels = {name: value for name, value in image.config.labels.items() if name != BIND_TO_PORT_LABEL}
    entrypoint = ("python", "-c", code) if code else image.config.entrypoint
    return replace(image, config=replace(image.config, labels=labels, entrypoint=entrypoint))


def test_where_containers_share_a_network_an_image_that_insists_on_port_8080_is_refused_with_what_to_do(
    runtime: ProcessRuntime, image: LocalImage
) -> None:
    with pytest.raises(InvalidImage, match="SAGEMAKER_BIND_TO_PORT"):
        replace(runtime, mode="chroot").run(
            without_label(image), name="plain", environment={}, model_data=None, on_log=print
        )


SERVER = """
import http.server, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
server = http.server.ThreadingHTTPServer(({host!r}, {port}), Handler)
print('listening', flush=True)
server.serve_forever()
"""


def test_a_server_is_reached_on_port_8080_of_its_own_container_as_on_aws_and_nowhere_else(
    runtime: ProcessRuntime, image: LocalImage
) -> None:
    if not isolation.has_networks():
        pytest.skip("this machine allows no network namespaces")
    log: list[str] = []
    servers = {
        "fit": ("0.0.0.0", 8080),  # noqa: S104 - in a network of its own
        "beside-it": ("0.0.0.0", 8080),  # noqa: S104 - likewise
        "other-port": ("0.0.0.0", 8000),  # noqa: S104 - likewise
        "only-to-itself": ("127.0.0.1", 8080),
    }
    containers = {}
    for name, (host, port) in servers.items():
        plain = without_label(image, SERVER.format(host=host, port=port))
        containers[name] = runtime.run(plain, name=name, environment={}, model_data=None, on_log=log.append)
    processes.wait_until(lambda: log.count("listening") == len(servers), seconds=120, what="the servers")
    reached = {name: _answers(container) for name, container in containers.items()}
    for container in containers.values():
        container.stop()
    assert reached == {"fit": True, "beside-it": True, "other-port": False, "only-to-itself": False}


def test_hostile_model_data_is_refused(runtime: ProcessRuntime, image: LocalImage, tmp_path: Path) -> None:
    data = tmp_path / "model.tar.gz"
    with tarfile.open(data, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../../climbed"))
    with pytest.raises(InvalidImage, match="cannot be unpacked"):
        runtime.run(image, name="evil", environment={}, model_data=data, on_log=print)
    assert not list(tmp_path.parent.rglob("climbed"))


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        pytest.param("", (0, 0), id="root, as SageMaker runs containers"),
        pytest.param("7", (7, 0), id="an unknown number, as Docker does it"),
        pytest.param("app", (10, 20), id="a name"),
        pytest.param("app:staff", (10, 30), id="a name and a group"),
        pytest.param("7:8", (7, 8), id="numbers"),
    ],
)
def test_the_user_is_looked_up_in_the_image(tmp_path: Path, user: str, expected: tuple[int, int]) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text("root:x:0:0:::\napp:x:10:20:::\n")
    (tmp_path / "etc" / "group").write_text("staff:x:30:\n")
    assert isolation.user_of(ImageConfig(user=user), tmp_path, "namespaces") == expected


def test_where_root_could_change_the_image_it_is_nobody(tmp_path: Path) -> None:
    assert isolation.user_of(ImageConfig(), tmp_path, "chroot") == (65534, 65534)


def test_an_unknown_user_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidImage, match="ghost"):
        isolation.user_of(ImageConfig(user="ghost"), tmp_path, "namespaces")
