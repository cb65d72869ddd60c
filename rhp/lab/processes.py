"""What the machine says of a process: its user and its name, as ps(1) shows them, and its capabilities."""

from dataclasses import dataclass
from pathlib import Path

from rhp.guard.sandbox.capabilities import names
from rhp.lab.programs import find, run


@dataclass(frozen=True, slots=True)
class Seen:
    """One process. `capabilities` are the effective ones, by name."""

    pid: int
    user: str
    name: str
    capabilities: tuple[str, ...]

    @property
    def text(self) -> str:
        """A line for a person."""
        may = " ".join(self.capabilities) or "no capabilities"
        return f"process {self.pid}, {self.name}, user {self.user}, {may}"


def look(pid: int) -> Seen:
    """Look at a process that runs; raises `CommandFailed` where there is none."""
    user, name = run([find("ps"), "-o", "user:32=,comm=", "-p", str(pid)]).split()
    return Seen(pid, user, name, tuple(names(_effective(pid))))


def _effective(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0
