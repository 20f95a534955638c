"""The container's entry point: `python -m model COMMAND`, since SageMaker runs `docker run IMAGE train` or `serve`.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = ("train", "evaluate", "serve")


def main(argv: Sequence[str]) -> int:
    """Runs the command that the first argument names with the rest of them.

    Returns its exit status; 2 if there is no such command, 1 if a library is missing.
    """
    command, *arguments = argv or ("",)
    if command not in COMMANDS:
        said = f"{command!r} is not a command of this model" if command else "name a command of this model"
        sys.stderr.write(f"{said}: {', '.join(COMMANDS)}\n")
        return 2
    try:
        module = import_module(f"model.{command}")
    except ModuleNotFoundError as error:
        # The image has no libraries but those that it needs to train and to serve.
        sys.stderr.write(f"{command} needs {error.name}, which is not installed here\n")
        return 1
    return int(module.main(arguments))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
