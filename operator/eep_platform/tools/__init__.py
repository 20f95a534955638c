"""Third-party programs for the tests, each built once per machine from Go modules pinned in this package.

Each has its own go.mod, because they need different versions of Kubernetes' modules.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from eep_platform.gobuild import Module, find_go, required_version

__all__ = ["helm", "promtool"]

_SOURCES = Path(__file__).parent


def helm(report: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of `helm`; the first call on a machine builds it (about two minutes on two cores).

    Raises:
        PlatformError: the build failed; the message says what to do.
    """
    tool = _tool("helm", module="helm.sh/helm/v4", version_variable="helm.sh/helm/v4/internal/version.version")
    return _built(tool, environ, report)


def promtool(report: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of `promtool`; the first call on a machine builds it (two to four minutes on two cores).

    It lacks Prometheus's service discoveries, whose cloud SDKs would take long to build.

    Raises:
        PlatformError: the build failed; the message says what to do.
    """
    tool = _tool(
        "promtool",
        module="github.com/prometheus/prometheus",
        version_variable="github.com/prometheus/common/version.Version",
        tags=("remove_all_sd",),
    )
    return _built(tool, environ, report)


def _tool(name: str, *, module: str, version_variable: str, tags: tuple[str, ...] = ()) -> Module:
    """Return the module of the tool `name`: the package cmd/NAME of `module`, whose version it reports."""
    version = required_version(_SOURCES / name, module)
    return Module(
        title=f"{name} {version}",
        sources=_SOURCES / name,
        cache=Path("tools", name),
        packages={name: f"{module}/cmd/{name}"},
        stamps={version_variable: version},
        needed_bytes=2 * 1024**3,
        effort="expect two to four minutes on two cores and 2 GB of disk meanwhile",
        tags=tags,
    )


def _built(tool: Module, environ: Mapping[str, str], report: Callable[[str], None]) -> Path:
    (name,) = tool.packages
    return tool.build(find_go(environ), environ, report) / name
