from pathlib import Path

import pytest
import yaml

from eep_platform.controlplane.access import connect, kubeconfig
from eep_platform.errors import PlatformError
from eep_platform.processes import free_port


def test_a_kubeconfig_is_yaml_with_one_context_that_is_current() -> None:
    content = yaml.safe_load(kubeconfig("https://127.0.0.1:1", ca=b"PEM", user={"token": "t"}))
    assert [context["name"] for context in content["contexts"]] == [content["current-context"]]
    assert content["clusters"][0]["cluster"] == {
        "server": "https://127.0.0.1:1",
        "certificate-authority-data": "UEVN",
    }


@pytest.mark.parametrize("content", [None, "", "no: kubeconfig", "[broken"])
def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(PlatformError, match=f"{path} is not a usable kubeconfig"), connect(path):
        pass


def test_a_server_that_does_not_listen_is_not_ready(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(kubeconfig(f"http://127.0.0.1:{free_port()}", ca=b"", user={"token": "t"}))
    with connect(path) as access:
        assert not access.ready()
