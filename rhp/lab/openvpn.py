"""Two OpenVPN ends with a TAP between them: the program that rhp's speed is held against."""

from dataclasses import dataclass
from pathlib import Path

from rhp.lab.namespace import Namespace
from rhp.lab.process import Background
from rhp.lab.programs import find

PORT = 1194
READY = "Initialization Sequence Completed"


@dataclass(frozen=True, slots=True)
class Credentials:
    """PEM files of one end: whom it trusts, its certificate, its private key."""

    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class OpenVpnEnd:
    """Where one end lives: its namespace, its outer address, its TAP's address with prefix, its credentials."""

    namespace: Namespace
    outer: str
    inner: str
    credentials: Credentials


class OpenVpn:
    """A point-to-point TAP tunnel over UDP with TLS and `cipher`; ready once both ends say so."""

    def __init__(self, server: OpenVpnEnd, client: OpenVpnEnd, folder: Path, cipher: str = "AES-128-GCM") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.processes: list[Background] = []
        try:
            for role, end, peer in (("server", server, client), ("client", client, server)):
                self.processes.append(
                    end.namespace.start(command(role, end, peer.outer, cipher), folder / f"{role}.log")
                )
            for process in self.processes:
                process.wait_for(READY, 30)
        except BaseException:
            self.stop()
            raise
        # OpenVPN leaves a TAP without --ifconfig bare and down.
        for end in (server, client):
            end.namespace.ip(f"address add {end.inner} dev tap0", "link set tap0 up")

    def stop(self) -> None:
        """End both ends. Safe to call twice."""
        for end in self.processes:
            end.stop()


def command(role: str, end: OpenVpnEnd, remote: str, cipher: str) -> list[str]:
    """The command line of one end; everything that is not named here is OpenVPN's own default."""
    options = {
        "dev": "tap0",
        "dev-type": "tap",
        "proto": "udp",
        "local": end.outer,
        "remote": remote,
        "port": str(PORT),
        "ca": str(end.credentials.ca),
        "cert": str(end.credentials.cert),
        "key": str(end.credentials.key),
        "data-ciphers": cipher,
        "cipher": cipher,
        "verb": "3",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return [find("openvpn"), *words, *(["--tls-server", "--dh", "none"] if role == "server" else ["--tls-client"])]
