"""The service as a program; it stops its model servers when SIGTERM or SIGINT ends it."""

from collections.abc import Sequence

from eep_platform.containers.runtime import detect_runtime
from eep_platform.emulation import program
from eep_platform.emulation.account import Account
from eep_platform.paths import cache_dir
from eep_platform.sagemaker.app import application


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve on 127.0.0.1 until a signal ends the program."""
    parser = program.command_line("eep_platform.sagemaker", __doc__, needs="ECR, S3, SNS, CloudWatch and EventBridge")
    options = parser.parse_args(arguments)
    app = application(
        runtime=detect_runtime(cache_dir() / "store", state=options.state),
        aws_endpoint=options.aws_endpoint,
        account=Account(options.account, options.region),
        state=program.state_folder(options.state, "sagemaker"),
    )
    program.serve(app, options.port)


if __name__ == "__main__":
    main()
