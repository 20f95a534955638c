"""The entry point: `python -m model.reviews COMMAND`, since SageMaker runs `docker run IMAGE serve`."""

import sys
from collections.abc import Sequence

from model.reviews import serve, train

COMMANDS = {"serve": serve.main, "train": train.main}


def main(argv: Sequence[str]) -> int:
    """Runs the command that the first argument names with the rest of them; 2 if there is no such command."""
    command, *arguments = argv or ("",)
    if command not in COMMANDS:
        sys.stderr.write(f"{command!r} is not a command of this model: {', '.join(COMMANDS)}\n")
        return 2
    return COMMANDS[command](arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
