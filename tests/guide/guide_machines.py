"""The machines of the guide: a network namespace each, with /etc, /run and /var/lib of its own, and real nodes."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from guide_matching import missing

from rhp.lab.errors import NotReached
from rhp.lab.process import Background, wait_until
from rhp.lab.programs import find
from rhp.lab.rhpnode import STOP_SECONDS, rhp_command

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0
# What a person who sees too early that nothing is there yet asks again.
ASKS = (
    "ping ",
    "docker exec vpn rhp status",
    "docker exec vpn ping",
    "ip ",
    "rhp status",
    "rhp peers",
    "rhp hub",
    "rhp sas",
    "rhp leases",
    "rhp log",
    "rhp doctor",
)
# What stays in the foreground, so that the next command comes from another terminal.
STAYS = ("rhp up", "docker run")
OWN = """
mount --bind {folder}/etc /etc && mount --bind {folder}/bin /usr/local/bin &&
mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && exec sleep infinity
"""
# What scp does between two machines, without the wire between them.
SCP = """
for last; do :; done
host=${{last%%:*}} path=${{last#*:}}
case $path in /*) ;; *) path=/home/$path ;; esac
while [ $# -gt 1 ]; do cp "$1" "{lab}/$host$path" || exit 1; shift; done
"""
# What a container has from Docker: these privileges, with those that --cap-add names, and no device but the usual ones
# and those that --device names. The network is the machine's own, as a container's is its own.
DOCKER = """
caps=chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod,audit_write,setfcap
tun=/dev/null
if [ "$1" = exec ]; then shift 2; exec "$@"; fi
while [ "$1" != rhp ]; do
    case $1 in
        --cap-add) caps=$caps,$(echo "$2" | tr A-Z a-z); shift ;;
        --device) [ "$2" = /dev/net/tun ] && tun=; shift ;;
    esac
    shift
done
[ -z "$tun" ] || mount --bind "$tun" /dev/net/tun
exec setpriv --bounding-set "-all,+$(echo "$caps" | sed 's/,/,+/g')" --inh-caps -all "$@"
"""


class Machine:
    """One machine; a command sees its files and its network alone."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.namespace = lab.namespace(name)
        self.folder = lab.path(name)
        self.folder.mkdir()
        shutil.copytree("/etc", self.folder / "etc", symlinks=True, ignore=shutil.ignore_patterns("rhp", "netns"))
        for part in ("bin", "home"):
            (self.folder / part).mkdir()
        self._give_programs()
        self._terminals = []
        script = OWN.format(folder=self.folder)
        self._keeper = lab.keep(self.namespace.start(["sh", "-c", script], self.folder / "keeper"))
        name = Path(f"/proc/{self._keeper.pid}/comm")
        wait_until(
            lambda: self._keeper.status is not None or name.read_text() == "sleep\n", PATIENCE, "files of its own"
        )

    def names(self, hosts):
        """Have the machine know other machines by name, as a name server would tell it."""
        with (self.folder / "etc" / "hosts").open("a") as file:
            file.writelines(f"{address} {name}\n" for name, address in hosts.items())

    def write(self, path, text):
        """Write a file, which lies below /etc."""
        place = self.folder / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def do(self, line, shows):
        """Type a line, and see that it prints what the guide shows; raises `NotReached` with what it printed."""
        if line.startswith(STAYS):
            self._stay(line, shows)
            return
        deadline = time.monotonic() + PATIENCE
        while True:
            done = subprocess.run(
                self._command(line), capture_output=True, text=True, timeout=120, env=self._environment
            )
            printed = done.stdout + done.stderr
            lacking = missing(shows, printed)
            if done.returncode == 0 and lacking is None:
                return
            if not line.startswith(ASKS) or time.monotonic() > deadline:
                raise NotReached(self._lacks(line, f"code {done.returncode}", lacking, printed))
            time.sleep(0.2)

    def _stay(self, line, shows):
        log = self.folder / f"terminal-{len(self._terminals)}"
        process = self.lab.keep(Terminal(self._command(f"exec {line}"), log, self._environment))
        self._terminals.append(process)
        deadline = time.monotonic() + PATIENCE
        while (lacking := missing(shows, process.text())) is not None:
            if process.status is not None or time.monotonic() > deadline:
                raise NotReached(self._lacks(line, f"code {process.status}", lacking, process.text()))
            time.sleep(0.05)

    def _lacks(self, line, ended, lacking, printed):
        rest = "".join(f"\n--- {one.log.name}\n{one.tail(30)}" for one in self._terminals)
        return f"{self.name}# {line}\nended with {ended}; it should show\n{lacking}\nand showed\n{printed}{rest}"

    def _command(self, line):
        enter = [find("nsenter"), "--target", str(self._keeper.pid), "--mount", "--net", f"--wd={self.folder}/home"]
        return [*enter, "sh", "-c", line]

    @property
    def _environment(self):
        return {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "HOME": f"{self.folder}/home"}

    def _give_programs(self):
        if self.name == "board":
            # It has been built there: what `make setup` would do is only listed.
            self._program("make", f'exec /usr/bin/make -n -C {ROOT} "$@"')
            (self.folder / "home" / ".venv").symlink_to(sys.prefix)
            return
        self._program("rhp", f'exec {shlex.join(rhp_command())} "$@"')
        self._program("scp", SCP.format(lab=self.lab.folder))
        self._program("docker", DOCKER)

    def _program(self, name, text):
        (self.folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.folder / "bin" / name).chmod(0o755)


class Terminal(Background):
    """A program in the foreground of a terminal of its own."""

    def stop(self, timeout=STOP_SECONDS):
        return super().stop(timeout)
