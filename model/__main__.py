"""The container's entry point: `python -m model COMMAND`, since SageMaker runs `docker run IMAGE train` or `serve`.

Processing jobs run it with the `ContainerArguments` `preprocess` or `evaluate`.
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = ("preprocess", "train", "evaluate", "serve")


def main(argv: Sequence[str]) -> int:
    """Runs the command that the first argument names with the rest of them.

    Returns its exit status; 2 if there is no such command.
    """
    command, *arguments = argv or ("",)
    if command not in COMMANDS:
        said = f"{command!r} is not a command of this model" if command else "name a command of this model"
        sys.stderr.write(f"{said}: {', '.join(COMMANDS)}\n")
        return 2
    return int(import_module(f"model.{command}").main(arguments))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
