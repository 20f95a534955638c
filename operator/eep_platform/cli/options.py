"""Options that several actions have."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def path(flag: str, default: str, purpose: str, *, metavar: str = "DIR", envvar: str | None = None) -> Decorator:
    """An option that names a file or a folder."""
    kind = click.Path(path_type=Path)
    return click.option(
        flag, type=kind, default=default, show_default=True, metavar=metavar, help=purpose, envvar=envvar
    )


state: Final = path(
    "--state", ".local/platform", "The platform's folder; also EEP_LOCAL_STATE.", envvar="EEP_LOCAL_STATE"
)
model: Final = path("--model", "model", "The folder of the model.")
provider: Final = click.option("--provider", default="auto", show_default=True, help="Where the Kubernetes comes from.")
