"""iperf3 between two namespaces: one server for one test, the client's JSON as numbers."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rhp.lab.errors import LabError
from rhp.lab.namespace import Namespace
from rhp.lab.process import Background
from rhp.lab.programs import find

NOT_YET = ("busy running a test", "Connection refused")
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class TcpResult:
    """What arrived: gigabits per second at the receiver, and how many segments the sender repeated."""

    gbps: float
    retransmits: int


@dataclass(frozen=True, slots=True)
class UdpResult:
    """What arrived: thousands of packets per second at the receiver, and the share that was lost, 0 to 1."""

    kpps: float
    lost: float


class Iperf3:
    """An iperf3 server in `server`, listening on `address`, for the time of a `with`; each test starts one client."""

    def __init__(self, client: Namespace, server: Namespace, address: str, log: Path, port: int = 5201) -> None:
        self._client = client
        self._address = address
        self._port = str(port)
        self._program = find("iperf3")
        command = [self._program, "-s", "-B", address, "-p", self._port, "--forceflush"]
        self._server: Background = server.start(command, log)
        try:
            self._server.wait_for("Server listening", 30)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server."""
        self._server.stop()

    def tcp(
        self,
        seconds: int = 3,
        streams: int = 1,
        omit: int = 0,
        reverse: bool = False,
        congestion: str = "",
        most_gbps: float | None = None,
    ) -> TcpResult:
        """Send TCP for `seconds` on `streams` connections, after `omit` seconds that do not count.

        It flows from client to server, with `reverse` from server to client; `congestion` names the algorithm that
        controls it, by default the machine's; each connection sends at most `most_gbps`.
        """
        options = ["-t", str(seconds), "-O", str(omit), "-P", str(streams), *(["-R"] if reverse else [])]
        options += ["-C", congestion] if congestion else []
        options += ["-b", f"{most_gbps * 1e9:.0f}"] if most_gbps else []
        end = self._run(seconds + omit, options)
        received, sent = end["sum_received"], end["sum_sent"]
        return TcpResult(float(received["bits_per_second"]) / 1e9, int(sent.get("retransmits", 0)))

    def udp(self, seconds: int = 3, size: int = 64) -> UdpResult:
        """Send UDP datagrams with `size` bytes of payload as fast as it goes, for `seconds`."""
        end = self._run(seconds, ["-u", "-b", "0", "-l", str(size), "-t", str(seconds)])
        total = end["sum"]
        packets, lost = int(total["packets"]), int(total["lost_packets"])
        arrived = max(packets - lost, 0)
        return UdpResult(arrived / float(total["seconds"]) / 1e3, lost / packets if packets else 1.0)

    def _run(self, seconds: int, options: list[str]) -> dict[str, Any]:
        """Run one client and return its `end` object; raises `LabError` with iperf3's own words.

        A server that has not finished with the client before is tried again, for `PATIENCE` seconds.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._run_once(seconds, options)
            except LabError as error:
                if not any(words in str(error) for words in NOT_YET) or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _run_once(self, seconds: int, options: list[str]) -> dict[str, Any]:
        command = [self._program, "-c", self._address, "-p", self._port, "-J", "--connect-timeout", "5000", *options]
        said = self._client.run(command, timeout=seconds + 60, check=False)
        try:
            report = json.loads(said)
        except json.JSONDecodeError:
            raise LabError(f"iperf3 did not answer in JSON: {said[:300]}") from None
        if "error" in report:
            raise LabError(f"iperf3: {report['error']}")
        end: dict[str, Any] = report["end"]
        return end
