"""What the doctor says of the programs of [[hooks]]: real files, and a user who can or cannot run them."""

import os

import pytest

from rhp.diagnosis import hooks, visit

ENTRY = """
[[hooks]]
on = "tunnel-up"
command = "{program}"
{more}
"""


@pytest.fixture
def program(open_folder):
    made = open_folder / "hook"
    made.write_text("#!/bin/sh\nexit 0\n")
    made.chmod(0o755)
    return made


@pytest.fixture
def look(loaded, program):
    """What is found of a configuration with that hook."""

    def found(more="", other=""):
        return list(hooks.look(loaded(connection=ENTRY.format(program=program, more=more) + other)))

    return found


def only(findings):
    (found,) = findings
    return found


def test_a_program_that_its_user_can_run_is_fine(look, program):
    twice = ENTRY.format(program=program, more="")
    found = only(look(other=twice))
    assert (found.level, found.says) == ("ok", f"{program} can be run by nobody")
    root = ENTRY.format(program=program, more="privileged = true")
    assert [one.says for one in look(other=root)] == [found.says, f"{program} can be run by root"]


@pytest.mark.parametrize("mode", [0o700, 0o711])
def test_a_program_that_its_user_cannot_run_is_a_problem(look, program, mode):
    # A script that can be executed, but not read, is no use to its interpreter.
    program.chmod(mode)
    found = only(look())
    assert (found.level, found.says) == ("problem", f"the hook {program} runs as nobody, who may not run it")
    assert only(look("privileged = true")).level == "ok"


def test_a_folder_that_its_user_cannot_pass_is_a_problem(look, open_folder):
    open_folder.chmod(0o700)
    assert "who may not run it" in only(look()).says


def test_a_program_that_anybody_can_replace_is_a_problem(look, open_folder, program):
    open_folder.chmod(0o777)
    for more in ("", "privileged = true"):
        assert only(look(more)).advice == f"run chmod o-w {open_folder}"
    open_folder.chmod(0o711)
    program.chmod(0o757)
    assert only(look()).advice == f"run chmod o-w {program}"


def test_the_owner_of_a_folder_decides_what_root_would_run(look, open_folder):
    os.chown(open_folder, 1, 1)
    found = only(look("privileged = true"))
    assert found.level == "problem"
    assert f"{open_folder} belongs to user 1" in found.says
    assert only(look()).level == "ok"


@pytest.mark.parametrize("line", ["#!/no/such/interpreter -x", "#!/bin/sh\r"])
def test_an_interpreter_that_is_not_there_is_a_problem(look, program, line):
    program.write_bytes(f"{line}\nexit 0\n".encode())
    found = only(look())
    assert found.level == "problem"
    assert line[2:].split(" ")[0] in found.says


def test_a_program_that_is_gone_is_a_mistake_of_the_configuration(loaded, program):
    file = loaded(connection=ENTRY.format(program=program, more="")).file
    for spoil in (lambda: program.chmod(0o644), program.unlink):
        spoil()
        one, found = visit.configuration(file)
        assert one is None
        assert f"{program} cannot be run" in only(found).says


def test_the_doctor_looks_at_them(loaded, program):
    program.chmod(0o700)
    found = visit.doctor(loaded(connection=ENTRY.format(program=program, more="")), None)
    assert [one.level for one in found if one.subject == "hooks"] == ["problem"]
