import subprocess
from pathlib import Path

from eep_platform.gobuild import required_version
from eep_platform.tools import __file__ as package


def test_helm_is_the_pinned_one(helm: Path) -> None:
    version = subprocess.run([helm, "version", "--template={{.Version}}"], capture_output=True, text=True, check=True)  # noqa: S603 - the program under test
    assert version.stdout == required_version(Path(package).parent / "helm", "helm.sh/helm/v4")
