"""The service as a program; it ends its builds when SIGTERM or SIGINT ends it."""

from collections.abc import Sequence

from eep_platform.codebuild.app import ServiceConfig, application
from eep_platform.emulation import program
from eep_platform.emulation.account import Account
from eep_platform.paths import cache_dir


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve on 127.0.0.1 until a signal ends the program."""
    parser = program.command_line(
        "eep_platform.codebuild", __doc__, needs="ECR, CloudWatch Logs, EventBridge, Secrets Manager and SSM"
    )
    parser.add_argument("--registry", required=True, help="host:port of the image registry that stands in for ECR's")
    options = parser.parse_args(arguments)
    state = program.state_folder(options.state.resolve(), "codebuild")
    service = ServiceConfig(options.aws_endpoint, options.registry, state, cache_dir() / "images")
    program.serve(application(service, Account(options.account, options.region)), options.port)


if __name__ == "__main__":
    main()
