"""Two wireguard-go ends, IP in UDP in user space: the fastest program of its kind, and the mark that rhp is held to.

Both ends answer `wg` through a socket in one folder that no namespace divides, so their interfaces differ in name: they
are called after their namespaces, as no other interface on the machine is.
"""

from dataclasses import dataclass
from pathlib import Path

from rhp.lab.namespace import Namespace
from rhp.lab.process import Background, wait_until
from rhp.lab.programs import find, run

PORT = 51820
SOCKETS = Path("/var/run/wireguard")
# Where the kernel has a WireGuard of its own, wireguard-go will not start unless it is told so.
ENVIRONMENT = {"WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD": "1"}


@dataclass(frozen=True, slots=True)
class WireGuardEnd:
    """Where one end lives: its namespace, its outer address, the inner address of its interface without prefix."""

    namespace: Namespace
    outer: str
    inner: str

    @property
    def interface(self) -> str:
        """The name of its TUN, at most 15 octets: the namespace's without "rhp-"."""
        return self.namespace.name.removeprefix("rhp-")


class WireGuard:
    """A tunnel between two ends with wireguard-go's own defaults; `program` is the wireguard-go to start."""

    def __init__(self, ends: tuple[WireGuardEnd, WireGuardEnd], program: Path, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.processes: list[Background] = []
        keys = [run([find("wg"), "genkey"]).strip() for _ in ends]
        try:
            for end in ends:
                log = folder / f"{end.interface}.log"
                process = end.namespace.start([str(program), "-f", end.interface], log, ENVIRONMENT)
                self.processes.append(process)
            for number, end in enumerate(ends):
                self._configure(end, ends[1 - number], keys[number], keys[1 - number], folder)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End both ends. Safe to call twice."""
        for process in self.processes:
            process.stop()

    def _configure(self, end: WireGuardEnd, peer: WireGuardEnd, key: str, peer_key: str, folder: Path) -> None:
        """Give one end its key and its peer, then bring its interface up."""
        socket = SOCKETS / f"{end.interface}.sock"
        wait_until(socket.exists, 10, f"wireguard-go's socket {socket}")
        file = folder / f"{end.interface}.conf"
        file.touch(0o600)
        file.write_text(configuration(key, run([find("wg"), "pubkey"], stdin=peer_key).strip(), peer))
        run([find("wg"), "setconf", end.interface, str(file)])
        end.namespace.ip(f"address add {end.inner}/24 dev {end.interface}", f"link set {end.interface} up")


def configuration(key: str, peer_public: str, peer: WireGuardEnd) -> str:
    """The file that `wg setconf` reads."""
    return (
        f"[Interface]\nPrivateKey = {key}\nListenPort = {PORT}\n"
        f"[Peer]\nPublicKey = {peer_public}\nEndpoint = {peer.outer}:{PORT}\nAllowedIPs = {peer.inner}/32\n"
    )
