"""Two fastd ends with a TAP between them: a small Ethernet VPN in C, one system call a packet, as many still are."""

from dataclasses import dataclass
from pathlib import Path

from rhp.lab.namespace import Namespace
from rhp.lab.process import Background
from rhp.lab.programs import find, run

PORT = 10000
INTERFACE = "fastd0"
METHOD = "salsa2012+umac"
"""What fastd recommends; its AES-GCM has no fast code of its own."""
MTU = 1426
"""fastd's documentation: the largest that fits into IPv4 packets of 1500 octets with this method."""


@dataclass(frozen=True, slots=True)
class FastdEnd:
    """Where one end lives: its namespace, its outer address, its TAP's address with prefix."""

    namespace: Namespace
    outer: str
    inner: str


class Fastd:
    """A tunnel between two ends; ready once both say so. The first end waits, because two calls at once may cross."""

    def __init__(self, ends: tuple[FastdEnd, FastdEnd], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.processes: list[Background] = []
        keys = [run([find("fastd"), "--generate-key", "--machine-readable"]).strip() for _ in ends]
        files = [folder / f"{name}.conf" for name in "ab"]
        for file, key, end in zip(files, keys, ends, strict=True):
            file.touch(0o600)
            file.write_text(configuration(key, end))
        shown = [[find("fastd"), "--show-key", "--machine-readable", "-c", str(file)] for file in files]
        public = [run(command).strip() for command in shown]
        try:
            for number, end in enumerate(ends):
                with files[number].open("a") as opened:
                    opened.write(peer(public[1 - number], ends[0] if number == 1 else None))
                command = [find("fastd"), "-c", str(files[number])]
                self.processes.append(end.namespace.start(command, files[number].with_suffix(".log")))
                # A call that nobody hears is repeated only after 20 seconds.
                self.processes[-1].wait_for("bound to", 30)
            for process in self.processes:
                process.wait_for("established", 30)
        except BaseException:
            self.stop()
            raise
        for end in ends:
            end.namespace.ip(f"address add {end.inner} dev {INTERFACE}", f"link set {INTERFACE} up")

    def stop(self) -> None:
        """End both ends. Safe to call twice."""
        for process in self.processes:
            process.stop()


def configuration(key: str, end: FastdEnd) -> str:
    """One end's file without its peer; `key` is the secret one, in hexadecimal."""
    return (
        f'log level info;\nmode tap;\ninterface "{INTERFACE}";\nmethod "{METHOD}";\nmtu {MTU};\n'
        f'bind {end.outer}:{PORT};\nsecret "{key}";\n'
    )


def peer(public: str, end: FastdEnd | None) -> str:
    """The part of a file that names the other end by its public key in hexadecimal, and where it is to be called."""
    remote = f"  remote {end.outer}:{PORT};\n" if end else ""
    return f'peer "peer" {{\n  key "{public}";\n{remote}}}\n'
