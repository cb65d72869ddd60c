"""A data plane on socket pairs and loopback sockets: the TAP is one end of a SOCK_SEQPACKET pair, peers are Python."""

import contextlib
import fcntl
import itertools
import os
import socket
import struct
import termios
import time

from rhp._fast.dataplane import DataPlane, SaParams, Selector
from rhp._fast.esp import EspOpener, EspSealer

GCM = 20
ETHERIP = b"\x30\x00"
TAP_MAC = bytes.fromhex("02000000fefe")
BROADCAST = b"\xff" * 6
SECONDS = 60.0
"""How long a lane may need for what it does at once, where others have the machine."""
ANY4 = Selector("0.0.0.0", "255.255.255.255")  # noqa: S104
ANY6 = Selector("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")


def mac(number):
    """A station's MAC."""
    return b"\x02\x00\x00\x00" + number.to_bytes(2, "big")


def frame(destination, source, payload=b"x" * 50, ethertype=0x88B5):
    """A frame of a type nobody knows, unless told otherwise."""
    return destination + source + ethertype.to_bytes(2, "big") + payload


def wait_for(condition, seconds=SECONDS):
    """Polls until the condition holds; what it gave."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def waiting(sock):
    """Octets of the next datagram that nobody has read yet; 0 where there is none."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, bytes(4)))[0] if sock.fileno() >= 0 else 0


class Tap:
    """The host's side of a lane's TAP queue."""

    def __init__(self, kind=socket.SOCK_SEQPACKET):
        self.host, self.queue = socket.socketpair(socket.AF_UNIX, kind)
        self.host.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.host.settimeout(SECONDS)

    def send(self, data):
        self.host.send(data)

    def recv(self):
        return self.host.recv(70000)

    def pending(self):
        """Everything that waits."""
        return drain(self.host)

    def close(self):
        self.host.close()
        self.queue.close()


def drain(sock):
    """Every datagram that waits in a socket."""
    found = []
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(sock.recv(70000))
    sock.settimeout(SECONDS)
    return found


class Peer:
    """One peer of a plane, with a socket of its own: seals and opens in Python, so that nothing is taken on trust."""

    def __init__(self, plane, kind="ethernet", **port):
        self.rig = plane
        self.kind = kind
        self.sock = socket.socket(plane.family, socket.SOCK_DGRAM)
        self.sock.bind((plane.ip, 0))
        self.sock.settimeout(SECONDS)
        self.port = plane.plane.add_port(kind, **port)
        self.spi_in = 0
        self.rekey()

    def rekey(self, **params):
        """Makes a new pair of SAs, which the peer uses from now on; gives the old inbound SPI of the plane."""
        before = self.spi_in
        key_in, key_out = os.urandom(20), os.urandom(20)
        self.spi_in = self.rig.plane.allocate_spi(params.get("lane"))
        self.spi_out = int.from_bytes(os.urandom(4), "big") | 0x100
        esn, window = params.get("esn", False), params.get("replay_window", 1024)
        wanted = {
            "local_port": self.rig.port,
            "remote_port": self.sock.getsockname()[1],
            "local_ip": self.rig.ip,
            "remote_ip": self.rig.ip,
            **params,
        }
        self.params = SaParams(
            self.port,
            self.spi_in,
            self.spi_out,
            "tunnel" if self.kind == "ip" else "ethernet",
            GCM,
            key_in,
            key_out,
            **wanted,
        )
        self.rig.plane.install(self.params)
        self.sealer = EspSealer(GCM, key_in, 0, b"", self.spi_in, esn)
        self.opener = EspOpener(GCM, key_out, 0, b"", self.spi_out, esn, window)
        self.sequence = itertools.count(1)
        return before

    def seal(self, payload, next_header=97, sequence=None):
        return self.sealer.seal(sequence or next(self.sequence), next_header, payload)

    def send_raw(self, datagram):
        self.sock.sendto(datagram, (self.rig.ip, self.rig.port))

    def send(self, payload, next_header=97):
        """A packet sealed with the newest SA."""
        self.send_raw(self.seal(payload, next_header))

    def send_frame(self, data):
        self.send(ETHERIP + data)

    def recv(self):
        """(next header, payload) of the next packet."""
        return self.opener.open(self.sock.recv(70000))

    def recv_frame(self):
        next_header, payload = self.recv()
        assert next_header == 97
        assert payload[:2] == ETHERIP
        return payload[2:]

    def pending(self):
        """The payloads of everything that waits."""
        return [self.opener.open(packet)[1] for packet in drain(self.sock)]

    def counters(self):
        return self.rig.plane.sa_counters(self.spi_in)

    def close(self):
        self.sock.close()


class Hub:
    """One more hub of a plane, with a TAP for each lane."""

    def __init__(self, rig, **how):
        self.rig = rig
        self.number = rig.plane.add_hub(**how)
        self.taps = [Tap() for _ in range(rig.plane.prepared)]
        self.tap = self.taps[0]
        for lane, tap in enumerate(self.taps):
            rig.plane.attach_tap(lane, tap.queue.fileno(), TAP_MAC, hub=self.number)
            tap.queue.close()

    def peer(self, kind="ethernet", **port):
        return self.rig.peer(kind, hub=self.number, **port)

    def count(self, name):
        return self.rig.plane.hub_counters(self.number)[name]

    def settle(self):
        """Returns when the lanes have worked through everything that this TAP was given."""
        for tap in self.taps:
            before = self.count("drop-frame-runt")
            tap.send(b"runt")
            wait_for(lambda before=before: self.count("drop-frame-runt") > before)

    def close(self):
        for tap in self.taps:
            tap.close()


class Rig:
    """A running plane with a TAP and a UDP socket for each lane; `make` makes one of another provider."""

    def __init__(self, lanes=1, family=socket.AF_INET, *, start=True, spare=0, offloads=0, make=DataPlane):
        self.family = family
        self.ip = "127.0.0.1" if family == socket.AF_INET else "::1"
        self.plane = make(lanes, spare=spare)
        self.taps = [Tap() for _ in range(lanes)]
        self.tap = self.taps[0]
        self.sockets = []
        self.peers = []
        self.hubs = []
        self.port = 0
        for lane in range(lanes):
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            sock.bind((self.ip, self.port))
            self.port = sock.getsockname()[1]
            self.sockets.append(sock)
            self.plane.attach_tap(lane, self.taps[lane].queue.fileno(), TAP_MAC, offloads)
            self.plane.attach_udp(lane, sock.fileno(), family)
        if start:
            self.plane.start()

    def peer(self, kind="ethernet", **port):
        self.peers.append(Peer(self, kind, **port))
        return self.peers[-1]

    def hub(self, **how):
        self.hubs.append(Hub(self, **how))
        return self.hubs[-1]

    def count(self, name):
        return self.plane.counters()[name]

    def wait_count(self, name, value=1):
        """Waits until a counter has reached a value, and is not beyond it."""
        assert wait_for(lambda: self.count(name) >= value and self.count(name)) == value

    def settle(self):
        """Returns when the lanes have worked through everything that was sent before: a frame of no use went last."""
        for tap in self.taps:
            before = self.count("drop-frame-runt")
            tap.send(b"runt")
            wait_for(lambda before=before: self.count("drop-frame-runt") > before)
        self.settle_sockets()

    def pour(self, peer, datagram, count):
        """Send one datagram so many times; the lane keeps up, however slow the machine is."""
        for number in range(count):
            peer.send_raw(datagram)
            if number % 100 == 99:
                self.settle_sockets()
        self.settle()

    def settle_sockets(self):
        """The same for what came from peers alone.

        A keep-alive is counted before the ESP of its batch is opened, so a second one has to be counted, and a third
        one before what was sealed meanwhile is sent for sure. None is sent into a queue that may be full.
        """
        with socket.socket(self.family, socket.SOCK_DGRAM) as sock:
            for _ in range(3):
                wait_for(lambda: not any(map(waiting, self.sockets)))
                before = self.count("keepalives-in")
                sock.sendto(b"\xff", (self.ip, self.port))
                wait_for(lambda before=before: self.count("keepalives-in") > before)

    def events(self, kind=None):
        return [event for event in self.plane.poll_events() if kind in (None, event[0])]

    def wait_event(self, kind):
        """The next event of a kind; others are thrown away."""
        return wait_for(lambda: self.events(kind))[0]

    def close(self):
        self.plane.close()
        for one in (*self.taps, *self.sockets, *self.peers, *self.hubs):
            one.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
