"""`rhp service`: the files are written whole, nothing is started, and systemd finds nothing wrong with them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rhp.cli import service
from rhp.cli.main import main
from rhp.guard import exits, process, resolver
from rhp.guard import service as guard_service
from rhp.guard.hooks import dispatch

DOCS = Path(__file__).parents[2] / "docs" / "service.md"
PROGRAM = "/opt/rhp/bin/rhp"


@pytest.fixture(autouse=True)
def _installed(monkeypatch):
    """As a package is."""
    monkeypatch.setattr(service, "_program", lambda: Path(PROGRAM))


def run(*arguments):
    return CliRunner().invoke(main, ["service", *map(str, arguments)])


@pytest.fixture
def units(tmp_path):
    """The two units with a program that is there, the template as one of its instances too."""
    program = Path(sys.executable).resolve()
    for name in ("rhp.service", "rhp@.service"):
        (tmp_path / name).write_text(service.text_of(name, program))
    (tmp_path / "rhp@branch.service").write_text(service.text_of("rhp@.service", program))
    return tmp_path


def test_they_are_written_once_and_what_others_wrote_stays(tmp_path):
    first = run("install", "--root", tmp_path)
    assert first.exit_code == 0
    assert first.output.count("wrote  ") == 4
    assert "Nothing was started" in first.output
    assert f"ExecStart={PROGRAM} up -c /etc/rhp/rhp.toml" in (tmp_path / "etc/systemd/system/rhp.service").read_text()
    assert "rhp-guard" in (tmp_path / "etc/sysusers.d/rhp.conf").read_text()
    assert run("install", "--root", tmp_path).output.count("is there  ") == 4
    unit = tmp_path / "etc/systemd/system/rhp@.service"
    unit.write_text("mine")
    refused = run("install", "--root", tmp_path)
    assert refused.exit_code == 1
    assert f"{unit} say something else" in refused.output
    assert unit.read_text() == "mine"
    assert run("install", "--root", tmp_path, "--force").exit_code == 0
    assert f"ExecStart={PROGRAM} up -c /etc/rhp/%i.toml" in unit.read_text()


def test_show_prints_what_install_writes(tmp_path):
    run("install", "--root", tmp_path)
    shown = run("show").output
    for one in service.FILES:
        assert f"# /{one.place}\n{(tmp_path / one.place).read_text()}" in shown


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "etc").write_text("a file")
    refused = run("install", "--root", tmp_path)
    assert refused.exit_code == 1
    assert "cannot be written" in refused.output
    assert "Traceback" not in refused.output


@pytest.mark.parametrize(
    ("executable", "told"),
    [("/home/anna/venv/bin/python", "a service does not see it"), ("/opt/my vpn/bin/python", "units read otherwise")],
)
def test_a_program_that_a_service_cannot_run_is_told_of(monkeypatch, executable, told):
    monkeypatch.undo()
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(Path, "exists", lambda path: True)
    refused = run("show")
    assert refused.exit_code == 1
    assert told in refused.output


def test_systemd_finds_nothing_wrong(units):
    files = [str(units / name) for name in ("rhp.service", "rhp@branch.service")]
    found = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    said = [line for line in found.stderr.splitlines() if str(units) in line or "rhp" in line]
    assert (found.returncode, said) == (0, [])


def test_the_score_is_the_one_in_the_docs(units):
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(units / "rhp.service")]
    found = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"}
    )
    score = float(re.search(r"Overall exposure level for rhp.service: ([\d.]+)", found.stdout)[1])
    written = float(re.search(r"exposure level of \*\*([\d.]+)\*\*", DOCS.read_text())[1])
    # Versions of systemd weigh differently, a little.
    assert abs(score - written) <= 0.3


def test_the_unit_restarts_after_a_death_and_not_after_a_mistake():
    unit = service.text_of("rhp.service", Path(PROGRAM))
    assert "Restart=on-failure\n" in unit
    prevented = re.search(r"^RestartPreventExitStatus=(.+)$", unit, re.MULTILINE)[1].split()
    assert str(exits.NOT_STARTED) in prevented
    assert {str(exits.NODE_DIED), str(exits.GUARD_DIED), "0"}.isdisjoint(prevented)


def test_the_unit_waits_for_everything_that_the_guard_waits_for():
    """Killed in the middle of it, the guard would leave routes, rules and name servers behind."""
    unit = service.text_of("rhp.service", Path(PROGRAM))
    parts = {
        "farewell": process.PATIENCE,
        "the change that is under way": guard_service.PATIENCE + resolver.COLLECTING,
        "to hooks": process.PATIENCE,
        "what runs them": dispatch.ENDING_SECONDS,
        "name servers": resolver.PATIENCE + resolver.COLLECTING,
    }
    comment = " ".join(line.removeprefix("# ") for line in unit.splitlines() if line.startswith("#"))
    told = re.search(r"At the end the guard gives .*?\.", comment)[0]
    assert [int(number) for number in re.findall(r"\d+", told)] == list(parts.values())
    assert all(what in told for what in parts)
    # Some is left for work that merely takes its time, and for a machine that is busy.
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[1]) >= sum(parts.values()) + 10


def test_the_template_differs_in_names_alone():
    one, many = (service.text_of(name, Path(PROGRAM)) for name in ("rhp.service", "rhp@.service"))
    mended = many.replace("/etc/rhp/%i.toml", "/etc/rhp/rhp.toml")
    assert mended.splitlines()[5:] == one.splitlines()[5:]


def test_users_and_folders_are_made_in_an_image(tmp_path):
    run("install", "--root", tmp_path)
    for command in (
        ["systemd-sysusers", f"--root={tmp_path}"],
        ["systemd-tmpfiles", f"--root={tmp_path}", "--create", "--prefix=/var/lib", "--prefix=/run"],
    ):
        subprocess.run(command, capture_output=True, text=True, check=True)
    made = (tmp_path / "etc/passwd").read_text()
    assert re.search(r"^rhp:", made, re.MULTILINE)
    assert re.search(r"^rhp-guard:", made, re.MULTILINE)
    assert {
        one: oct((tmp_path / one).stat().st_mode)[-4:] for one in ("run/rhp", "var/lib/rhp", "var/lib/rhp-guard")
    } == {
        "run/rhp": "1775",
        "var/lib/rhp": "0700",
        "var/lib/rhp-guard": "0700",
    }
