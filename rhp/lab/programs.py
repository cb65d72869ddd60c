"""The programs the lab drives: where they are, which package carries them, and how one is run to its end."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rhp.lab.errors import CommandFailed, LabError, ProgramMissing

PACKAGES = {
    "charon": "strongswan-charon",
    "fastd": "fastd",
    "ip": "iproute2",
    "iperf3": "iperf3",
    "openvpn": "openvpn",
    "ping": "iputils-ping",
    "ps": "procps",
    "swanctl": "strongswan-swanctl",
    "wg": "wireguard-tools",
}
# charon is no command of the user's: it lies where strongSwan's starter looks for it.
EXTRA_FOLDERS = ("/usr/sbin", "/sbin", "/usr/lib/ipsec", "/usr/libexec/ipsec", "/usr/libexec/strongswan")


def find(program: str) -> str:
    """Path of `program`; raises `ProgramMissing` with the package's name."""
    found = shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *EXTRA_FOLDERS)))
    if found is None:
        raise ProgramMissing(program, PACKAGES.get(program, program))
    return found


def require_root() -> None:
    """Raise `LabError` unless this process may make namespaces and TAP interfaces."""
    if os.geteuid() != 0:
        raise LabError("Network namespaces need root: run this as root, for example with sudo.")
    if not Path("/dev/net/tun").exists():
        raise LabError("/dev/net/tun is missing: load the kernel's tun module (modprobe tun) or pass the device in.")


def run(command: Sequence[str], *, stdin: str | None = None, timeout: float = 60.0, check: bool = True) -> str:
    """Run `command` to its end and return its standard output.

    `timeout` is in seconds. Raises `CommandFailed` when the command overstays, or ends with a status other than zero
    while `check` is set; the error carries both of its outputs.
    """
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as late:
        said = b"".join(part for part in (late.stdout, late.stderr) if isinstance(part, bytes))
        raise CommandFailed(command, None, said.decode(errors="replace")) from None
    if check and done.returncode != 0:
        raise CommandFailed(command, done.returncode, done.stderr + done.stdout)
    return done.stdout
