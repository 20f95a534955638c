"""Print the script for completion in a shell.

It completes commands, options and the names of objects.
The completion of `kubectl eep` needs none: kubectl asks the program kubectl_complete-eep, which is installed with eep.
"""

import click
from click.shell_completion import get_completion_class

from ephemeral_endpoints.cli.help import PROGRAM, Command

VARIABLE = "_EEP_COMPLETE"


@click.command(
    help=__doc__,
    cls=Command,
    examples=[
        'eval "$(eep completion bash)"  # in ~/.bashrc',
        'eval "$(eep completion zsh)"  # in ~/.zshrc',
        "eep completion fish > ~/.config/fish/completions/eep.fish",
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print click's own script."""
    made = get_completion_class(shell)
    if made is None:
        raise click.ClickException(f"click does not know the shell {shell}")
    click.echo(made(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())
