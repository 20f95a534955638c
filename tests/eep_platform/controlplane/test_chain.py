import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from kubernetes.client import (
    ApiClient,
    AuthenticationV1Api,
    AuthenticationV1TokenRequest,
    CoreV1Api,
    V1Namespace,
    V1ObjectMeta,
    V1TokenRequestSpec,
    V1TokenReview,
    V1TokenReviewSpec,
    VersionApi,
)
from kubernetes.client.exceptions import ApiException
from kubernetes.config import new_client_from_config

from eep_platform import controlplane
from eep_platform.controlplane import ControlPlane, gobuild
from eep_platform.controlplane.access import connect
from eep_platform.controlplane.binaries import APISERVER, PROGRAMS
from eep_platform.errors import PlatformError
from eep_platform.paths import record_file
from eep_platform.processes import find, is_alive, wait_until

DEADLINE_SECONDS = 120

STARTER = """
import sys
from pathlib import Path
from eep_platform import controlplane
controlplane.start(Path(sys.argv[1]))
"""


@pytest.fixture
def core(kubernetes_client: ApiClient) -> CoreV1Api:
    return CoreV1Api(kubernetes_client)


@pytest.fixture
def namespace(core: CoreV1Api) -> str:
    """A new namespace. It is left to the end of the session: Kubernetes takes five seconds to delete one."""
    name = f"test-{uuid4().hex[:8]}"
    core.create_namespace(V1Namespace(metadata=V1ObjectMeta(name=name)))
    return name


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Path]:
    """State folder of a second platform, which is ended in any case."""
    yield tmp_path
    controlplane.stop(tmp_path)


def exists(read: Callable[[], object]) -> bool:
    try:
        read()
    except ApiException as error:
        if error.status != 404:
            raise
        return False
    return True


@pytest.fixture
def own(control_plane: ControlPlane, control_plane_state: Path) -> Path:
    """State folder of the session's control plane, if it consists of processes of our own."""
    if control_plane.provider not in {"assets", "build"}:
        pytest.skip(f"the control plane comes from {control_plane.provider}: its processes are not ours")
    return control_plane_state


def test_controllers_furnish_a_new_namespace(core: CoreV1Api, namespace: str) -> None:
    for read in (
        lambda: core.read_namespaced_service_account("default", namespace),
        lambda: core.read_namespaced_config_map("kube-root-ca.crt", namespace),
    ):
        wait_until(lambda r=read: exists(r), seconds=DEADLINE_SECONDS, what="the controllers")  # type: ignore[misc]


def test_bound_service_account_tokens_are_issued_and_accepted(kubernetes_client: ApiClient, core: CoreV1Api) -> None:
    request = AuthenticationV1TokenRequest(spec=V1TokenRequestSpec(audiences=[], expiration_seconds=600))
    issued = core.create_namespaced_service_account_token("default", "default", request).status
    assert issued is not None
    review = V1TokenReview(spec=V1TokenReviewSpec(token=issued.token))
    accepted = AuthenticationV1Api(kubernetes_client).create_token_review(review).status
    assert accepted is not None
    assert accepted.user is not None
    assert accepted.user.username == "system:serviceaccount:default:default"


def test_starting_again_returns_the_control_plane_that_serves(
    control_plane: ControlPlane, control_plane_state: Path
) -> None:
    assert controlplane.start(control_plane_state) == control_plane
    assert controlplane.status(control_plane_state).ready


def test_the_servers_version_is_the_pinned_one(control_plane: ControlPlane, kubernetes_client: ApiClient) -> None:
    if control_plane.provider != "build":
        pytest.skip(f"the programs come from {control_plane.provider}")
    info = VersionApi(kubernetes_client).get_code()
    assert (info.git_version, info.major, info.minor) == gobuild.kubernetes_version()


def test_secrets_are_readable_by_the_owner_only_and_on_no_command_line(own: Path) -> None:
    folder = own / "controlplane"
    for name in ("kubeconfig", "settings.json", "tokens.csv", "controller-manager.kubeconfig"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600, name
    assert folder.stat().st_mode & 0o777 == 0o700
    token = (folder / "tokens.csv").read_text().split(",")[0]
    logs = "".join(path.read_text() for path in (own / "log").iterdir())
    commands = [" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])]
    assert token not in "\n".join([logs, *commands])


def test_nothing_listens_beyond_the_local_machine(own: Path) -> None:
    listening = [
        connection.laddr
        for program in PROGRAMS
        if (process := find(program, own))
        for connection in psutil.Process(process.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert [address.ip for address in listening] == ["127.0.0.1"]


def test_strangers_are_refused(own: Path, control_plane: ControlPlane, tmp_path: Path) -> None:
    token = (own / "controlplane" / "tokens.csv").read_text().split(",")[0]
    path = tmp_path / "kubeconfig"
    path.write_text(control_plane.kubeconfig.read_text().replace(token, "guessed"))
    with connect(path) as access:
        assert not access.server_ready()


def test_the_api_server_comes_back_on_its_port_with_its_data(own: Path, core: CoreV1Api, namespace: str) -> None:
    before = find(APISERVER, own)
    controlplane.stop_apiserver(own, grace_seconds=0)
    assert find(APISERVER, own) is None
    assert not controlplane.status(own).ready
    controlplane.start_apiserver(own)
    assert find(APISERVER, own) != before
    core.read_namespace(namespace)


def test_an_api_server_that_is_not_ours_cannot_be_restarted(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="no control plane of its own"):
        controlplane.restart_apiserver(tmp_path)


def test_a_second_platform_survives_kills_and_ends_without_harm_to_the_first(
    own: Path, second: Path, core: CoreV1Api, namespace: str
) -> None:
    starter = subprocess.Popen(  # noqa: S603 - a literal program
        [sys.executable, "-c", STARTER, second],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
    )
    wait_until(record_file(second, APISERVER).exists, seconds=DEADLINE_SECONDS, what="the second API server")
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    left = find(APISERVER, second)
    plane = controlplane.start(second)
    assert find(APISERVER, second) == left
    with new_client_from_config(str(plane.kubeconfig)) as client:  # type: ignore[no-untyped-call]
        assert not exists(lambda: CoreV1Api(client).read_namespace(namespace))
    assert left is not None
    os.kill(left.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(left), seconds=DEADLINE_SECONDS, what="the end of the second API server")
    assert controlplane.start(second) == plane
    processes = [find(program, second) for program in PROGRAMS]
    assert all(processes)
    controlplane.stop(second)
    assert not any(process and is_alive(process) for process in processes)
    assert not (second / "controlplane").exists()
    assert controlplane.status(own).ready
    core.read_namespace(namespace)


def test_a_cluster_that_the_user_names_is_used_and_left_alone(second: Path, control_plane: ControlPlane) -> None:
    named = {**os.environ, "EEP_KUBECONFIG": str(control_plane.kubeconfig)}
    assert controlplane.start(second, environ=named) == ControlPlane(control_plane.kubeconfig, "kubeconfig")
    assert controlplane.start(second).provider == "kubeconfig"
    controlplane.stop(second)
    with connect(control_plane.kubeconfig) as access:
        assert access.ready()


def test_a_named_cluster_does_not_silently_give_way_to_the_one_that_runs(own: Path) -> None:
    with pytest.raises(PlatformError, match=r"cannot use EEP_KUBECONFIG=/other: .* run `eep local down` first"):
        controlplane.start(own, environ={**os.environ, "EEP_KUBECONFIG": "/other"})


def test_another_provider_than_the_running_one_is_refused(own: Path) -> None:
    with pytest.raises(PlatformError, match=r"cannot use 'kind': .* run `eep local down` first"):
        controlplane.start(own, provider="kind")


def test_a_named_kubeconfig_that_is_missing_fails_instead_of_falling_back(second: Path) -> None:
    with pytest.raises(PlatformError, match="EEP_KUBECONFIG=/missing is not a file"):
        controlplane.start(second, environ={**os.environ, "EEP_KUBECONFIG": "/missing"})


def test_ending_what_was_never_started_is_no_error(tmp_path: Path) -> None:
    controlplane.stop(tmp_path)
    assert controlplane.status(tmp_path) == controlplane.Status()
