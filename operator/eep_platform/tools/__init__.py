"""Programs for the page and for the tests, each built once per machine from Go modules pinned in this package.

Each has its own go.mod, because they need different versions of the same modules.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from eep_platform.gobuild import Module, find_go, required_version

__all__ = ["actionlint", "esbuild", "gitops", "helm", "promtool"]

_SOURCES = Path(__file__).parent


def actionlint(report: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of `actionlint`; the first call on a machine builds it (half a minute on two cores).

    Raises:
        PlatformError: the build failed; the message says what to do.
    """
    tool = _tool("actionlint", module="github.com/rhysd/actionlint", version_variable=None)
    return _built(tool, environ, report)


def esbuild(report: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of `esbuild`; the first call on a machine builds it (half a minute on two cores).

    Raises:
        PlatformError: the build failed; the message says what to do.
    """
    tool = _tool("esbuild", module="github.com/evanw/esbuild", version_variable=None)
    return _built(tool, environ, report)


def gitops(report: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of our `gitops`, which does to objects what Argo CD and Flux do, with their libraries.

    The first call on a machine builds it (a minute on two cores).

    Raises:
        PlatformError: the build failed; the message says what to do.
    """
    tool = Module(
        title="gitops",
        sources=_SOURCES / "gitops",
        cache=Path("tools", "gitops"),
        packages={"gitops": "."},
        stamps={},
        needed_bytes=1024**3,
        effort="expect a minute on two cores and 1 GB of disk meanwhile",
    )
    return _built(tool, environ, report)


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


def _tool(name: str, *, module: str, version_variable: str | None, tags: tuple[str, ...] = ()) -> Module:
    """Return the module of the tool `name`: the package cmd/NAME of `module`; it reports its version if it can."""
    version = required_version(_SOURCES / name, module)
    return Module(
        title=f"{name} {version}",
        sources=_SOURCES / name,
        cache=Path("tools", name),
        packages={name: f"{module}/cmd/{name}"},
        stamps={version_variable: version} if version_variable else {},
        needed_bytes=2 * 1024**3,
        effort="expect up to four minutes on two cores and 2 GB of disk meanwhile",
        tags=tags,
    )


def _built(tool: Module, environ: Mapping[str, str], report: Callable[[str], None]) -> Path:
    (name,) = tool.packages
    return tool.build(find_go(environ), environ, report) / name
