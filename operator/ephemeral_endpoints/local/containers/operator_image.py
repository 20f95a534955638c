"""What the operator's image consists of: the interpreter, its packages and the program, with no system around them.

The build stage of the Dockerfile runs it; it needs nothing but Python there, and ``ldd``:

    python -m ephemeral_endpoints.local.containers.operator_image PACKAGES PROGRAM TARGET

makes the folders ``base``, ``packages`` and ``program`` in TARGET, each a part of the root file system and a layer of
the image. There is no shell in it and no package manager, and nothing that is never read.
"""

import shutil
import sys
from pathlib import Path
from typing import Final

from ephemeral_endpoints.local.containers import base

PACKAGES: Final = Path("opt/packages")
PROGRAM: Final = Path("opt/operator/ephemeral_endpoints")

SERVICES: Final = frozenset(
    {
        "apigatewayv2",
        "application-autoscaling",
        "cloudwatch",
        "codebuild",
        "ecr",
        "lambda",
        "logs",
        "sagemaker",
        "sqs",
        "sts",
    }
)
"""The services of AWS whose models are kept: those of ``aws.clients.Clients``. All four hundred take 25 MB."""

UNUSED: Final = (
    "bin/*",
    "boto3/data/*/",
    "kubernetes/client/api/[!_]*.py",
    "kubernetes/client/models/[!_]*.py",
    "kubernetes/aio/client/api/[!_]*.py",
    "kubernetes/aio/client/models/[!_]*.py",
)
"""Commands, resources of boto3, and the 70 MB of the Kubernetes client that it imports where they are called for.

The operator calls for none of them: it speaks JSON by ``kube.rest``.
"""

NOT_IN_A_CLUSTER: Final = ("cli", "iam", "local", "__pycache__")
"""Parts of the program that are for people's machines."""


def assemble(packages: Path, program: Path, target: Path) -> None:
    """Make ``target``, which must not exist, from a folder of installed packages and the program's. Takes some seconds.

    Raises:
        BuildError: this interpreter cannot be copied, see ``base.build``.
    """
    root = target / "base"
    base.build(root)
    _layer(packages, target / "packages", PACKAGES)
    prune(target / "packages" / PACKAGES)
    _layer(program, target / "program", PROGRAM, *NOT_IN_A_CLUSTER)
    for part in ("packages", "program"):
        base.compile_deterministically(target / part / "opt", target / part)


def prune(packages: Path) -> None:
    """Take away what the operator never reads."""
    services = (path for path in (packages / "botocore" / "data").glob("*/") if path.name not in SERVICES)
    for path in (*services, *(path for pattern in UNUSED for path in packages.glob(pattern))):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _layer(source: Path, layer: Path, place: Path, *left_out: str) -> None:
    shutil.copytree(source, layer / place, ignore=shutil.ignore_patterns("__pycache__", *left_out))


def main(arguments: list[str]) -> None:
    """Assemble; the arguments are those of ``assemble``."""
    packages, program, target = map(Path, arguments)
    assemble(packages, program, target)


if __name__ == "__main__":
    main(sys.argv[1:])
