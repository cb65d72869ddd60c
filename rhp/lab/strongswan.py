"""A real strongSwan in a namespace: charon with ESP in user space, driven by swanctl.

Each instance has a `/run` of its own (the pid file's place is fixed when strongSwan is compiled), its own folder for
keys, and its own vici socket. libipsec does tunnel mode in UDP encapsulation only, and creates a TUN `ipsec0`; inner
addresses live on `lo`. Which strongSwan it is, the installed one or another in a folder, `SwanPrograms` says.
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rhp.lab.errors import CommandFailed, LabError
from rhp.lab.namespace import Namespace
from rhp.lab.process import Background, wait_until
from rhp.lab.programs import find, run
from rhp.lab.swanconf import Section, SwanConnection, strongswan_conf, swanctl_conf

IKE_LINE = re.compile(r"^(\S+): #(\d+), ([A-Z]+), IKEv2, ([0-9a-f]{16})_i\*? ([0-9a-f]{16})_r")
CHILD_LINE = re.compile(r"^  (\S+): #(\d+), reqid \d+, ([A-Z]+), (\S+), ESP:(\S+)")
TRAFFIC_LINE = re.compile(r"^    (in|out)\s+([0-9a-f]{8})[^,]*,\s+(\d+) bytes,\s+(\d+) packets")


@dataclass(frozen=True, slots=True)
class SwanChildSa:
    """One Child SA as swanctl lists it; SPIs in hexadecimal."""

    name: str
    number: int
    state: str
    mode: str
    suite: str
    spi_in: str = ""
    spi_out: str = ""
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(frozen=True, slots=True)
class SwanIkeSa:
    """One IKE SA as swanctl lists it; SPIs in hexadecimal."""

    connection: str
    number: int
    state: str
    spi_i: str
    spi_r: str
    suite: str
    children: tuple[SwanChildSa, ...]

    @property
    def established(self) -> bool:
        """True while it can carry exchanges and has at least one installed child."""
        return self.state == "ESTABLISHED" and any(child.state == "INSTALLED" for child in self.children)


@dataclass(frozen=True, slots=True)
class SwanPrograms:
    """Which strongSwan: paths of its daemon and of the command that steers it."""

    charon: str
    swanctl: str

    @classmethod
    def installed(cls) -> "SwanPrograms":
        """The machine's own; raises `ProgramMissing`."""
        return cls(find("charon"), find("swanctl"))

    @classmethod
    def unpacked(cls, folder: Path) -> "SwanPrograms":
        """The one that `tools/fetch-strongswan` brought into `folder`; raises `LabError` when it did not."""
        if not (folder / "charon").exists():
            raise LabError(f"there is no strongSwan in {folder}: run tools/fetch-strongswan {folder}")
        return cls(str(folder / "charon"), str(folder / "swanctl"))


class StrongSwan:
    """One charon; `connections` are loaded once it answers. `stop` ends it by its own id.

    `settings` belong into `charon {}` of its configuration, see `swanconf`; `programs` is the installed strongSwan
    unless another one is named.
    """

    def __init__(
        self,
        namespace: Namespace,
        folder: Path,
        connections: Sequence[SwanConnection],
        settings: Section | None = None,
        programs: SwanPrograms | None = None,
    ) -> None:
        self.namespace = namespace
        self.log = folder / "log"
        self._folder = folder
        self._programs = programs or SwanPrograms.installed()
        self._vici = folder / "vici"
        self._connections = connections
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "strongswan.conf").write_text(strongswan_conf(self._vici, self.log, settings))
        self.process: Background
        self.start()

    def start(self) -> None:
        """Start charon and load its connections; after `kill` it comes back without a memory."""
        # One that was killed leaves its socket behind.
        self._vici.unlink(missing_ok=True)
        command = ["unshare", "-m", "sh", "-c", f"mount -t tmpfs none /run; exec {self._programs.charon}"]
        environment = {"STRONGSWAN_CONF": str(self._folder / "strongswan.conf")}
        self.process = self.namespace.start(command, self._folder / "charon.out", environment)
        try:
            wait_until(lambda: self._vici.exists() or self.process.status is not None, 30, "charon's vici socket")
            if self.process.status is not None:
                raise LabError(f"charon ended at once: {self.process.tail()}")
            self.load(self._connections)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End charon; it sends DELETE for what is established. Safe to call twice."""
        self.process.stop()

    def kill(self) -> None:
        """End charon without any farewell."""
        self.process.kill()

    def load(self, connections: Sequence[SwanConnection]) -> None:
        """Load these connections with their secrets, in the place of all earlier ones."""
        (self._folder / "private").mkdir(exist_ok=True)
        for connection in connections:
            if connection.key is not None:
                shutil.copyfile(connection.key, self._folder / "private" / f"{connection.name}.pem")
        self._connections = connections
        path = self._folder / "swanctl.conf"
        path.write_text(swanctl_conf(connections))
        self.call("--load-all", "--file", str(path))

    def initiate(self, child: str, timeout: int = 30) -> None:
        """Bring up `child` (and its IKE SA when there is none); raises `CommandFailed` with charon's reason."""
        self.call("--initiate", "--child", child, "--timeout", str(timeout))

    def rekey_ike(self, connection: str) -> None:
        """Rekey the IKE SA of `connection`; it is asked for, not waited for."""
        self.call("--rekey", "--ike", connection)

    def rekey_child(self, child: str) -> None:
        """Rekey the Child SA `child`; it is asked for, not waited for."""
        self.call("--rekey", "--child", child)

    def terminate(self, connection: str) -> None:
        """Delete the IKE SA of `connection`, with its children."""
        self.call("--terminate", "--ike", connection, "--timeout", "30")

    def terminate_child(self, child: str) -> None:
        """Delete the Child SA `child` alone."""
        self.call("--terminate", "--child", child, "--timeout", "30")

    def redirect(self, connection: str, gateway: str) -> None:
        """Send the peer of `connection` to another gateway (RFC 5685)."""
        self.call("--redirect", "--ike", connection, "--gateway", gateway)

    def sas(self, connection: str | None = None) -> list[SwanIkeSa]:
        """The IKE SAs that exist now, with their children; those of one connection when it is named."""
        found = parse_sas(self.listing())
        return [sa for sa in found if connection is None or sa.connection == connection]

    def listing(self) -> str:
        """What `swanctl --list-sas` prints, for what `sas` does not read of it."""
        return self.call("--list-sas")

    def call(self, *arguments: str) -> str:
        """Run swanctl against this charon and return its output; a `CommandFailed` carries the end of charon's log."""
        command = ["env", f"SWANCTL_DIR={self._folder}", f"STRONGSWAN_CONF={self._folder / 'strongswan.conf'}"]
        command += [self._programs.swanctl, *arguments, "--uri", f"unix://{self._vici}"]
        try:
            return run(command, timeout=90)
        except CommandFailed as error:
            raise CommandFailed(["swanctl", *arguments], error.status, f"{error.output}\n{self.tail()}") from None

    def tail(self, lines: int = 40) -> str:
        """The last lines of charon's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def version(self) -> str:
        """What it calls itself, "strongSwan 5.9.8"."""
        named = re.search(r"strongSwan [\w.]+", self.log.read_text(errors="replace"))
        return named[0] if named else "strongSwan"


def parse_sas(text: str) -> list[SwanIkeSa]:
    """Read the output of `swanctl --list-sas`."""
    found: list[SwanIkeSa] = []
    for block in re.split(r"\n(?=\S)", text.strip()):
        head = IKE_LINE.match(block)
        if head:
            lines = block.splitlines()
            suite = next((line.strip() for line in lines if re.match(r"^  [A-Z0-9]+[_-]\S*/\S+", line)), "")
            sa = SwanIkeSa(head[1], int(head[2]), head[3], head[4], head[5], suite, tuple(_children(lines)))
            found.append(sa)
    return found


def _children(lines: Sequence[str]) -> list[SwanChildSa]:
    """The children among the lines of one IKE SA."""
    children: list[SwanChildSa] = []
    for index, line in enumerate(lines):
        head = CHILD_LINE.match(line)
        if not head:
            continue
        traffic: dict[str, tuple[str, int]] = {}
        for later in lines[index + 1 :]:
            if CHILD_LINE.match(later):
                break
            if count := TRAFFIC_LINE.match(later):
                traffic[count[1]] = (count[2], int(count[3]))
        spi_in, bytes_in = traffic.get("in", ("", 0))
        spi_out, bytes_out = traffic.get("out", ("", 0))
        number, state, mode, suite = int(head[2]), head[3], head[4], head[5]
        children.append(SwanChildSa(head[1], number, state, mode, suite, spi_in, spi_out, bytes_in, bytes_out))
    return children
