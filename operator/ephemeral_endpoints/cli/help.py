"""Help that reads like that of other command lines for Kubernetes and Git: commands in groups, examples below."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

PROGRAM: Final = "eep"
HELP_OPTIONS: Final = ["-h", "--help"]

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "Core commands": (
        "status",
        "wait",
        "list",
        "logs",
        "invoke",
        "transform",
        "check",
        "compare",
        "load",
        "open",
        "token",
        "openai-token",
        "feedback",
        "cost",
    ),
    "Promote": ("model", "stage"),
    "Change an endpoint": ("approve", "extend", "pin", "retry", "sleep", "unpin", "wake"),
    "Set up": ("init", "doctor", "iam", "prices", "sweep", "local", "completion"),
    "More": ("explain", "version"),
}
"""The commands in the order in which they are listed. Any other is listed last."""


class Command(click.Command):
    """A command whose help ends with examples, written as ``eep ...`` and shown as the program was called."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **options: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*arguments, **options)
        # Not only inherited from the program: click keeps the help option of a command's first use, which may be alone.
        self.context_settings = {"help_option_names": HELP_OPTIONS, **self.context_settings}
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See `click.Command`."""
        called = ctx.find_root().info_name or PROGRAM
        if self.examples:
            with formatter.section("Examples"):
                for each in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{each.replace(PROGRAM, called, 1)}\n")
        super().format_epilog(ctx, formatter)


class Commands(Command, click.Group):
    """A command that is followed by what it is to do."""


class Program(click.Group):
    """The program itself, which prints its help when it is called without a command, and has then done its work."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command`."""
        return super().parse_args(ctx, args or ["--help"])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See `click.Command`. What the program can do comes before its options."""
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See `click.Group`."""
        left = set(self.list_commands(ctx))
        grouped = [(title, [each for each in names if each in left]) for title, names in GROUPS.items()]
        left -= {each for _, names in grouped for each in names}
        for title, names in [*grouped, ("Other commands", sorted(left))]:
            if names:
                with formatter.section(title):
                    formatter.write_dl([(each, self._line(ctx, each, formatter)) for each in names], col_max=12)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See `click.Group`."""
        with formatter.section("Examples"):
            for example in ("status sentiment-pr-42", "wait sentiment-pr-42 --timeout 20m", "list --all-namespaces"):
                formatter.write(f"{'':{formatter.current_indent}}{ctx.info_name} {example}\n")
        with formatter.section("Learn more"):
            formatter.write_text(f"Use `{ctx.info_name} COMMAND --help` for the options and examples of a command.")

    def _line(self, ctx: click.Context, name: str, formatter: click.HelpFormatter) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str(formatter.width) if command else ""
