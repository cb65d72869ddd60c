"""What the shell completes: commands without importing them, options, and the connections of the configuration."""

import subprocess

import pytest
from click.testing import CliRunner

from rhp.cli.main import COMMANDS, main


def completed(words, at):
    """What bash would be told behind these words."""
    environment = {"_RHP_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(at)}
    result = CliRunner().invoke(main, [], prog_name="rhp", env=environment)
    assert result.exit_code == 0, result.output
    return [line.partition(",")[2] for line in result.output.splitlines() if line]


def test_commands_are_completed():
    assert completed(["rhp", ""], 1) == list(COMMANDS)
    assert completed(["rhp", "rek"], 1) == ["rekey"]
    assert "--version" in completed(["rhp", "--"], 1)


def test_options_and_connections_are_completed(folder):
    assert "--reauth" in completed(["rhp", "rekey", "--"], 2)
    file = str(folder / "rhp.toml")
    assert completed(["rhp", "rekey", "-c", file, "of"], 4) == ["office"]
    assert completed(["rhp", "peers", "-c", file, "--connection", ""], 5) == ["office"]
    assert completed(["rhp", "rekey", "-c", str(folder / "none.toml"), "of"], 4) == []
    (folder / "rhp.toml").write_text("connections = 3\n")
    assert completed(["rhp", "rekey", "-c", file, ""], 4) == []
    (folder / "rhp.toml").write_text("[[[")
    assert completed(["rhp", "rekey", "-c", file, ""], 4) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_of_its_own(rhp, shell):
    result = rhp("completion", shell)
    assert result.exit_code == 0
    assert f"_RHP_COMPLETE={shell}_complete" in result.output


def test_bash_takes_the_script(rhp):
    script = rhp("completion", "bash").output + "\ncomplete -p rhp\n"
    done = subprocess.run(["bash", "-eu"], input=script, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip().endswith("-F _rhp_completion rhp")


def test_another_shell_is_refused(rhp):
    result = rhp("completion", "tcsh")
    assert result.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in result.output
