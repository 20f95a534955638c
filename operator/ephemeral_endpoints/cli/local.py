"""`eep local`: a Kubernetes and an AWS on this machine, to try and to test everything on."""

import argparse
import shlex
import sys
import time
from pathlib import Path

import yaml

from ephemeral_endpoints.cli import bench
from ephemeral_endpoints.kube.client import secret_name
from ephemeral_endpoints.local import demo, operator, platform
from ephemeral_endpoints.local.demo import BRANCH, NAME, REPOSITORY, spec
from ephemeral_endpoints.local.errors import PlatformError
from ephemeral_endpoints.local.git import files_of
from ephemeral_endpoints.local.platform import Platform
from ephemeral_endpoints.local.workbench import manifest

_STATE = Path(".local/platform")
_DEMO_STATE = Path(".local/demo")
_DONE, _FAILED, _NOT_RUNNING = 0, 1, 3

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse gives the type of add_subparsers() no public name


def add_to(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add the command and its actions to a parser."""
    local = commands.add_parser("local", help="run a Kubernetes and an AWS on this machine", description=__doc__)
    actions = local.add_subparsers(metavar="ACTION", required=True)
    state = argparse.ArgumentParser(add_help=False)
    state.add_argument("--state", type=Path, default=_STATE, metavar="DIR", help="its folder (default: %(default)s)")
    up = actions.add_parser("up", parents=[state], help="start it, or what of it is missing, and wait until it serves")
    up.add_argument("--provider", default="auto", help="where the Kubernetes comes from (default: %(default)s)")
    up.add_argument("--operator", action="store_true", help="start the operator on it too")
    up.set_defaults(run=_up)
    down = actions.add_parser("down", parents=[state], help="end it and remove all that it made")
    down.set_defaults(run=_down)
    status = actions.add_parser("status", parents=[state], help="tell whether it runs; exit status 3 if it does not")
    status.set_defaults(run=_status)
    push = actions.add_parser(
        "push", parents=[state], help="push a commit of the example model, print an object that serves it"
    )
    push.add_argument(
        "--model", type=Path, default=Path("model"), metavar="DIR", help="its folder (default: %(default)s)"
    )
    push.set_defaults(run=_push)
    demo = actions.add_parser("demo", help="tell the whole story of one pull request on a platform of its own")
    demo.add_argument(
        "--state", type=Path, default=_DEMO_STATE, metavar="DIR", help="its folder (default: %(default)s)"
    )
    demo.add_argument("--provider", default="auto", help="where the Kubernetes comes from (default: %(default)s)")
    demo.add_argument(
        "--model", type=Path, default=Path("model"), metavar="DIR", help="a model's folder (default: %(default)s)"
    )
    demo.set_defaults(run=_demo)
    bench.add_to(actions)


def _up(options: argparse.Namespace) -> int:
    began = time.monotonic()
    try:
        running = platform.up(options.state, provider=options.provider, report=_progress)
        if options.operator:
            _progress(f"the operator runs: {operator.start(running)}/metrics, log {operator.log(running)}")
    except PlatformError as error:
        return _failed(error, hint=f"what was started is ended by: eep local down --state {_quoted(options.state)}")
    _progress(f"ready after {time.monotonic() - began:.1f} s")
    _say(_usage(running, options.state))
    return _DONE


def _down(options: argparse.Namespace) -> int:
    try:
        platform.down(options.state, report=_progress)
    except PlatformError as error:
        return _failed(error)
    _progress(f"nothing of {options.state} is left")
    return _DONE


def _status(options: argparse.Namespace) -> int:
    try:
        found = platform.status(options.state)
    except PlatformError as error:
        return _failed(error)
    for name, runs in found.parts.items():
        _say(f"# {name}: {'running' if runs else 'not running'}")
    if found.platform is None:
        _progress(f"not running: start it with: eep local up --state {_quoted(options.state)}")
        return _NOT_RUNNING
    _say(_usage(found.platform, options.state))
    return _DONE


def _push(options: argparse.Namespace) -> int:
    try:
        found = platform.status(options.state)
        if found.platform is None:
            _progress(f"not running: start it with: eep local up --state {_quoted(options.state)}")
            return _NOT_RUNNING
        files = files_of(options.model, below="model")
        revision = found.platform.git.push(REPOSITORY, BRANCH, files, message="Tell wines apart")
    except PlatformError as error:
        return _failed(error)
    _progress(f"{revision} is the head of {BRANCH} in {found.platform.git.url}/{REPOSITORY}.git")
    _say(yaml.safe_dump(manifest(NAME, spec(revision)), sort_keys=False).rstrip())
    return _DONE


def _demo(options: argparse.Namespace) -> int:
    try:
        demo.run(options.state, options.model, provider=options.provider, say=_say)
    except PlatformError as error:
        return _failed(error)
    return _DONE


def _usage(running: Platform, state: Path) -> str:
    """Lines for a shell: they can be read as they are, and evaluated."""
    programs = shlex.quote(str(Path(sys.executable).parent))
    exports = [f"export {name}={shlex.quote(value)}" for name, value in sorted(running.environment.items())]
    exports.append(f'export PATH={programs}:"$PATH"  # eep and kubectl')
    hints = [
        "# in this shell: the lines above, or",
        f'#   eval "$(eep local status --state {_quoted(state)})"',
        "# then, for example:",
        f"#   eep local push --state {_quoted(state)} | kubectl apply -f -",
        "#   kubectl get eep -o wide --watch",
        f"#   token=$(kubectl get secret {secret_name(NAME)} -o jsonpath='{{.data.token}}' | base64 -d)",
        f"#   url=$(kubectl get eep {NAME} -o jsonpath='{{.status.url}}')",
        '#   curl -H "Authorization: Bearer $token" -H "Content-Type: application/json" \\',
        '#     -d @model/samples/valid/named.json "$url"',
        f"#   curl -s {running.aws_endpoint}/_meter/calls        # AWS calls so far",
        f"#   docker push {running.registry}/<repository>:<tag>  # image registry",
        f"# end it: eep local down --state {_quoted(state)}",
    ]
    return "\n".join([*exports, *hints])


def _failed(error: PlatformError, *, hint: str | None = None) -> int:
    _progress(f"error: {error}")
    if hint is not None:
        _progress(hint)
    return _FAILED


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _progress(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
