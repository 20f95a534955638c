"""The service as a program; it keeps everything in memory."""

import argparse
from collections.abc import Sequence

from eep_platform.emulation import program
from eep_platform.github.app import application


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve on 127.0.0.1 until a signal ends the program."""
    parser = argparse.ArgumentParser(prog="python -m eep_platform.github", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port of 127.0.0.1 to serve on")
    options = parser.parse_args(arguments)
    program.serve(application(f"http://127.0.0.1:{options.port}"), options.port)


if __name__ == "__main__":
    main()
