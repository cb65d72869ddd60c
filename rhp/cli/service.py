"""`rhp service`: the files that make a service manager run the node."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from rhp.cli.options import fail

_DATA = Path(__file__).parents[1] / "data"
_HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"), Path("/tmp"), Path("/var/tmp"))  # noqa: S108
_NEXT = """\
Nothing was started. What comes next, as root:
  systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload
  systemctl enable --now rhp      # or rhp@NAME, for /etc/rhp/NAME.toml"""


@dataclass(frozen=True, slots=True)
class _File:
    """One of them: its name in the package, and where it belongs."""

    name: str
    place: str


FILES = (
    _File("rhp.service", "etc/systemd/system/rhp.service"),
    _File("rhp@.service", "etc/systemd/system/rhp@.service"),
    _File("sysusers.conf", "etc/sysusers.d/rhp.conf"),
    _File("tmpfiles.conf", "etc/tmpfiles.d/rhp.conf"),
)


@click.group()
def service() -> None:
    """Write the files that make systemd run the node

    Two units, rhp.service for /etc/rhp/rhp.toml and rhp@NAME.service for /etc/rhp/NAME.toml, the users of the two
    processes, and their folders. docs/service.md says what the units take from a node that has been taken over.

    \b
    Example: rhp service show
             rhp service install
    """


@service.command()
def show() -> None:
    """Print the files as they would be written

    \b
    Example: rhp service show | less
    """
    program = _program()
    click.echo("\n".join(f"# /{one.place}\n{text_of(one.name, program)}" for one in FILES), nl=False)


@service.command()
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("/"),
    help="Write below this folder, as for an image",
)
@click.option("--force", is_flag=True, help="Write over files that say something else")
def install(root: Path, force: bool) -> None:
    """Write the files, and start nothing

    What is there already and the same stays; what is there and says something else stays as well, unless --force is
    given. Changes of your own belong in drop-ins, which are never touched: systemctl edit rhp.

    \b
    Example: rhp service install
             rhp service install --root /mnt/image
    """
    program = _program()
    wanted = {root / one.place: text_of(one.name, program) for one in FILES}
    try:
        changed = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
        others = [path for path in changed if path.exists()]
        if others and not force:
            fail(f"{' and '.join(map(str, others))} say something else; look at them, and give --force to replace them")
        for path in changed:
            _write(path, wanted[path])
    except OSError as error:
        fail(f"{error.filename} cannot be written: {error.strerror}")
    for path in wanted:
        click.echo(f"{'wrote' if path in changed else 'is there'}  {path}")
    click.echo(_NEXT)


def text_of(name: str, program: Path) -> str:
    """One of the package's files, with the path of the program in it."""
    return (_DATA / name).read_text().replace("@RHP@", str(program))


def _program() -> Path:
    """The `rhp` of this installation, where a service can run it."""
    program = Path(sys.executable).with_name("rhp")
    if not program.exists():
        fail(f"there is no {program}; install rhp as a package, so that its command is there")
    hidden = next((one for one in _HIDDEN if program.is_relative_to(one)), None)
    if hidden is not None:
        fail(f"{program} is in {hidden}, where a service does not see it; install rhp into /opt/rhp or /usr/local")
    if any(char.isspace() or char in "%$\\\"'" for char in str(program)):
        fail(f"{program} has a character in it that units read otherwise; install rhp into /opt/rhp or /usr/local")
    return program


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.chmod(0o644)
    beside.replace(path)
