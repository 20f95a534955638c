"""What the actions print for a person, and for a shell to evaluate."""

import shlex
import sys
from pathlib import Path
from typing import Final

import click

from eep_platform import operator
from eep_platform.demo.pull_request import NAME
from eep_platform.platform import Platform, Status
from ephemeral_endpoints.cli.installation import URL_VARIABLE
from ephemeral_endpoints.kube.client import secret_name

NOT_RUNNING: Final = 3
"""The exit status of an action whose platform does not run."""


def progress(text: str) -> None:
    """Print for a person: on stderr, since a shell may evaluate or pipe stdout."""
    click.echo(text, err=True)


def running(found: Status, state: Path) -> Platform:
    """The platform. If it does not run, the command says how to start it and exits with NOT_RUNNING."""
    if found.platform is None:
        progress(f"The platform is not running. Start it with: eep local up --state {quoted(state)}")
        raise click.exceptions.Exit(NOT_RUNNING)
    return found.platform


def quoted(path: Path) -> str:
    """A path as a word of a shell."""
    return shlex.quote(str(path))


def usage(platform: Platform, state: Path) -> str:
    """Lines for a shell: they can be read as they are, and evaluated."""
    programs = quoted(Path(sys.executable).parent)
    exports = [f"export {name}={shlex.quote(value)}" for name, value in sorted(platform.environment.items())]
    if url := operator.url(platform):
        exports.append(f"export {URL_VARIABLE}={url}  # for eep doctor, explain and version")
    exports.append(f'export PATH={programs}:"$PATH"  # eep and kubectl')
    exports.append(f"export EEP_LOCAL_STATE={quoted(state.resolve())}  # for eep local, in any folder")
    hints = [
        "# in this shell: the lines above, or",
        f'#   eval "$(eep local status --state {quoted(state)})"',
        "# then, for example:",
        "#   eep local push model --name wine-pr-42 --pull-request 42 | kubectl apply -f -",
        "#   kubectl get eep -o wide --watch",
        f"#   token=$(kubectl get secret {secret_name(NAME)} -o jsonpath='{{.data.token}}' | base64 -d)",
        f"#   url=$(kubectl get eep {NAME} -o jsonpath='{{.status.url}}')",
        '#   curl -H "Authorization: Bearer $token" -H "Content-Type: application/json" \\',
        '#     -d @model/samples/valid/named.json "$url"',
        f"#   curl -s {platform.aws_endpoint}/_meter/calls        # AWS calls so far",
        f"#   git push {platform.git_url}/<owner>/<name>.git HEAD:pr-1  # Git repository, made by the push",
        f"#   eep local pr open 42  # pull requests, shown at {platform.github_url}",
        f"#   docker push {platform.registry}/<repository>:<tag>  # image registry",
        f"# end it: eep local down --state {quoted(state)}",
    ]
    return "\n".join([*exports, *hints])
