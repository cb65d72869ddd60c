"""An rhp node in a namespace: its file written, `rhp up` running, watched and steered through its control socket.

It is two processes, the guard and its child, the node in the narrow sense; both write to one log.
"""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rhp.lab.errors import LabError, NotReached
from rhp.lab.namespace import Namespace
from rhp.lab.nodeconf import Table, toml
from rhp.lab.process import Background, runs, wait_until
from rhp.node.control.client import ControlError, ask
from rhp.node.control.protocol import Request

READY = "node started"
STOP_SECONDS = 30.0
"""For two processes, of which one says farewell to its peers, on a machine that has other work."""

Wanted = Callable[[dict[str, Any]], object]


def rhp_command(*arguments: str, program: Path | None = None) -> list[str]:
    """A command line of `program`, which is the `rhp` of this very installation unless another one is named."""
    beside = program or Path(sys.executable).with_name("rhp")
    command = [str(beside)] if beside.exists() else [sys.executable, "-c", "from rhp.cli.main import main; main()"]
    return [*command, *arguments]


class RhpNode:
    """One node. It serves once the constructor returns; tunnels may take a moment longer (`wait_established`).

    `program` is the `rhp` to start, this installation's by default.
    """

    def __init__(self, namespace: Namespace, folder: Path, configuration: Table, program: Path | None = None) -> None:
        self.namespace = namespace
        self.program = program
        self.folder = folder
        self.log = folder / "log"
        self.file = folder / "rhp.toml"
        folder.mkdir(parents=True, exist_ok=True)
        self.write(configuration)
        self.process: Background
        self.start()

    def write(self, configuration: Table) -> None:
        """Write its file; a running node goes by it after `reload`."""
        own: Table = {"run_dir": str(self.folder / "run"), "state_dir": str(self.folder / "state")}
        given = configuration.get("node", {})
        merged = {**own, **given} if isinstance(given, dict) else own
        # In one go, as a careful editor does it.
        fresh = self.file.with_suffix(".new")
        fresh.write_text(toml({**configuration, "node": merged}) + "\n")
        fresh.chmod(0o600)
        fresh.replace(self.file)

    def reload(self) -> dict[str, Any]:
        """Have it read its file again; what it tells of that, as `rhp reload -o json` does."""
        return self._ask("reload")

    def start(self, timeout: float = 60.0) -> None:
        """Start the process and wait until it serves; raises `NotReached` with its words when it ends instead."""
        self.process = self.namespace.start(rhp_command("up", "-c", str(self.file), program=self.program), self.log)
        try:
            self.process.wait_for(READY, timeout)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it by its own id, so that it says DELETE to its peers. Safe to call twice."""
        self.process.stop(STOP_SECONDS)

    @property
    def pid(self) -> int:
        """The process that talks to the world; `process` is its parent, the guard. Raises `LabError` without one."""
        children = [pid for pid in self.process.children if _name(pid) != "rhp-hooks"]
        if len(children) != 1:
            raise LabError(f"the guard has {len(children)} children\n{self.process.tail(20)}")
        return children[0]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process that talks to the world."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End both processes without any farewell, as a power cut does."""
        # One that sees the other die would begin to put things in order.
        self.process.send(signal.SIGSTOP)
        children = self.process.children
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()
        wait_until(lambda: not any(map(runs, children)), 30, "the node's end")

    def down(self) -> str:
        """End it by `rhp down`, and wait until it has ended."""
        said = self.command("down")
        self.process.wait(30)
        return said

    def status(self) -> dict[str, Any]:
        """What `rhp status -o json` shows, asked of the control socket."""
        return self._ask("status")

    def connection(self, name: str) -> dict[str, Any]:
        """One connection's part of the status; raises `LabError` when there is none of that name."""
        for entry in self.status()["connections"]:
            if entry["name"] == name:
                found: dict[str, Any] = entry
                return found
        raise LabError(f"the node has no connection {name}")

    def wait_established(self, name: str, timeout: float = 30.0) -> dict[str, Any]:
        """Wait until the connection stands with a child installed; its status, or `NotReached` with the evidence."""
        return self.wait_connection(name, established, timeout)

    def wait_connection(self, name: str, wanted: Wanted, timeout: float = 30.0) -> dict[str, Any]:
        """Wait until `wanted` is true of the connection's status, and return that; raises `NotReached`."""
        deadline = time.monotonic() + timeout
        while not wanted(entry := self.connection(name)):
            if time.monotonic() > deadline:
                raise NotReached(f"{name} after {timeout:g} s: {json.dumps(entry)}\n{self.process.tail(20)}")
            time.sleep(0.02)
        return entry

    def initiate(self, name: str) -> None:
        """Bring the connection up; asked for, not waited for."""
        self._ask("initiate", connection=name)

    def terminate(self, name: str) -> None:
        """Delete the connection's IKE SA."""
        self._ask("terminate", connection=name)

    def terminate_child(self, name: str, child: str) -> None:
        """Delete one child."""
        self._ask("delete-child", connection=name, child=child)

    def rekey_ike(self, name: str) -> None:
        """Rekey the connection's IKE SA; asked for, not waited for."""
        self._ask("rekey-ike", connection=name)

    def reauthenticate(self, name: str) -> None:
        """Have both ends of a connection that we called prove themselves anew; it is asked for, not waited for."""
        self._ask("reauthenticate", connection=name)

    def rekey_child(self, name: str, child: str) -> None:
        """Rekey one child; asked for, not waited for."""
        self._ask("rekey-child", connection=name, child=child)

    def command(self, name: str, *arguments: str, check: bool = True) -> str:
        """Run one of rhp's commands against this node and return its output; see `programs.run`."""
        command = rhp_command(name, *arguments, "-c", str(self.file), program=self.program)
        return self.namespace.run(command, check=check)

    def _ask(self, command: str, **fields: str) -> dict[str, Any]:
        """Put a request to the control socket; raises `LabError` with the node's sentence and its last lines."""
        try:
            return ask(self.folder / "run" / "control.sock", Request(command, fields))
        except ControlError as error:
            raise LabError(f"{command} {fields}: {error}\n{self.process.tail(20)}") from None


def _name(pid: int) -> str:
    """What ps calls it; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def established(entry: dict[str, Any]) -> bool:
    """True of a connection's status while traffic can pass."""
    return bool(entry["state"] == "established" and entry["children"])
