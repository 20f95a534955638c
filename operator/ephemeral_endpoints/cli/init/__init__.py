"""Write the files that a repository needs.

The object of each pull request, for Kustomize too, in preview/endpoint.yaml and preview/kustomization.yaml; a workflow
for GitHub in .github/workflows/preview.yaml; and preview/applicationset.yaml for Argo CD: keep one of the two. Without
a Dockerfile also an example with what SageMaker needs: Dockerfile, .dockerignore, app.py and requirements.txt.

With --train-on each pull request trains on that data, the example is one that trains (model.py in place of app.py), and
stages.yaml has the stages that lead to production.

Files of the example are never overwritten, the others only with --force.
"""

import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from ephemeral_endpoints import __version__
from ephemeral_endpoints.cli.help import Command

_PREVIEW: Final = {
    "preview/endpoint.yaml": "endpoint.yaml",
    "preview/kustomization.yaml": "kustomization.yaml",
    "preview/applicationset.yaml": "applicationset.yaml",
    ".github/workflows/preview.yaml": "workflow.yaml",
}
_IMAGE: Final = {"Dockerfile": "Dockerfile", ".dockerignore": "dockerignore", "requirements.txt": "requirements.txt"}
_APP: Final = {"app.py": "app.py.txt"}
_TRAINING_PREVIEW: Final = {
    **_PREVIEW,
    "preview/endpoint.yaml": "training/endpoint.yaml",
    "stages.yaml": "training/stages.yaml",
}
_TRAINING_IMAGE: Final = {
    **_IMAGE,
    "Dockerfile": "training/Dockerfile",
    "requirements.txt": "training/requirements.txt",
    "model.py": "training/model.py.txt",
}
_MODULES: Final = ("app", "main", "serve", "server", "api")

# With `-pr-` and a number behind it the name still fits into a label.
_NAME: Final = re.compile("[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
_REPOSITORY: Final = re.compile(r"[\w.-]+(/[\w.-]+)+")
_DATA: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/([\w.=-]+/)+")
_PLACEHOLDER: Final = re.compile("@([a-z]+)@")


@click.command(
    help=__doc__,
    cls=Command,
    examples=[
        "eep init",
        "eep init --name sentiment --repository acme/sentiment",
        "eep init --train-on s3://acme-data/sentiment/",
    ],
)
@click.option("--name", help="Name of the model, to which objects add the pull request. Default: the folder's.")
@click.option("--repository", help="Path of the Git repository: owner and name. Default: that of the remote origin.")
@click.option(
    "--path",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    help="Folder of the repository. Default: this one.",
)
@click.option("-n", "--namespace", default="default", show_default=True, help="Namespace of the objects.")
@click.option("--train-on", "data", metavar="S3_URL", help="Folder with the data that pull requests train on.")
@click.option("--force", is_flag=True, help="Overwrite files of an earlier `eep init`.")
def command(  # noqa: PLR0913 - one for each option
    *, name: str | None, repository: str | None, path: Path, namespace: str, data: str | None, force: bool
) -> None:
    """Ask on a terminal for what was not given; write all files or, if one exists already, none."""
    suggested = re.sub("[^a-z0-9]+", "-", path.resolve().name.lower()).strip("-")
    values = {
        "name": _valid("--name", name or _asked("Name of the model", suggested), _NAME),
        "repository": _valid("--repository", repository or _asked("Git repository", _remote(path)), _REPOSITORY),
        "namespace": namespace,
        **({"data": _valid("--train-on", data, _DATA)} if data is not None else {}),
    }
    found = files(path, values)
    present = [file for file in found if file in _TRAINING_PREVIEW and (path / file).exists()]
    if present and not force:
        raise click.ClickException(f"{', '.join(present)} exists already: use --force to overwrite, or another --path")
    for file, text in found.items():
        target = path / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        click.echo(f"wrote {target}")
    click.echo(_next_steps(path, found.keys()), err=True)


def files(folder: Path, values: Mapping[str, str]) -> dict[str, str]:
    """The files to write below a folder, with their content. Only reads what is there."""
    trains, module = "data" in values, _module(folder)
    wanted = dict(_TRAINING_PREVIEW if trains else _PREVIEW)
    if not (folder / "Dockerfile").exists():
        example = _TRAINING_IMAGE if trains else _IMAGE | (_APP if module is None else {})
        wanted |= {file: template for file, template in example.items() if not (folder / file).exists()}
    owner, _, repo = values["repository"].rpartition("/")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    more = {"owner": owner, "repo": repo, "module": module or "app", "python": python, "tag": f"v{__version__}"}
    return {file: _filled(template, {**values, **more}) for file, template in wanted.items()}


def _filled(template: str, values: Mapping[str, str]) -> str:
    text = (resources.files(__name__) / "templates" / template).read_text(encoding="utf-8")
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def _module(folder: Path) -> str | None:
    """The module with an ASGI application named app, as FastAPI's documentation calls it; None if there is none."""
    for each in _MODULES:
        file = folder / f"{each}.py"
        if file.is_file() and re.search(r"^app\b.*=", file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
            return each
    return None


def _asked(question: str, suggested: str | None) -> str | None:
    """The answer on a terminal; elsewhere what was suggested."""
    if not sys.stdin.isatty():
        return suggested
    answer: str = click.prompt(question, default=suggested)
    return answer


def _valid(option: str, value: str | None, pattern: re.Pattern[str]) -> str:
    if value is None:
        raise click.UsageError(f"{option} is needed: nothing here tells it")
    if not pattern.fullmatch(value):
        raise click.UsageError(f"{option} {value!r} does not match {pattern.pattern}")
    return value


def _remote(folder: Path) -> str | None:
    """The path of the repository that the remote origin names; None without one."""
    try:
        answer = subprocess.run(  # noqa: S603 - no shell
            ["git", "-C", str(folder), "remote", "get-url", "origin"],  # noqa: S607 - the user's Git
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    url = answer.stdout.strip().removesuffix(".git")
    return (urlsplit(url).path if "://" in url else url.partition(":")[2]).strip("/")


def _next_steps(path: Path, written: Collection[str]) -> str:
    example = next((file for file in ("app.py", "model.py") if file in written), None)
    check = f"{example} is an example: put your model there." if example else "Does your image answer, see below?"
    jobs = "Jobs run `preprocess`, `train` and `evaluate`: see docs/training.md.\n" if "stages.yaml" in written else ""
    return (
        f"\n{check} SageMaker runs `docker run IMAGE serve`, and sends GET /ping and POST /invocations to port 8080.\n"
        f"{jobs}Then commit {path}, and either set the variables that .github/workflows/preview.yaml names, or apply "
        "preview/applicationset.yaml. preview/endpoint.yaml shows how the answers of the model are checked."
    )
