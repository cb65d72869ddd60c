"""`rhp completion`: have the shell complete commands, options and connections."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what makes a shell complete rhp's commands

    Commands, options and the connections of the configuration are completed. Write it where the shell looks, or
    evaluate it.

    \b
    Example: rhp completion bash > /etc/bash_completion.d/rhp
             eval "$(rhp completion zsh)"
             rhp completion fish > ~/.config/fish/completions/rhp.fish
    """
    from rhp.cli.main import main

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    completer = found(main, {}, "rhp", "_RHP_COMPLETE")
    # Not `source()`, which runs bash to see how old it is: this prints, and whoever evaluates it has a shell.
    click.echo(completer.source_template % completer.source_vars())
