"""Reading the counters of nodes that a test watches."""

import signal
import time

from rhp.lab.process import wait_until


def dataplane(*nodes):
    """Every counter of the packet path, summed over the nodes."""
    total = {}
    for node in nodes:
        for name, value in node.status()["counters"]["dataplane"].items():
            total[name] = total.get(name, 0) + value
    return total


def since(before, *nodes):
    """What has been counted since `before`, without what stayed zero."""
    now = dataplane(*nodes)
    return {name: value - before.get(name, 0) for name, value in now.items() if value != before.get(name, 0)}


def settled(read, quiet=0.15, timeout=30.0):
    """What `read` gives once it has not changed for `quiet` seconds."""
    deadline, value, unchanged = time.monotonic() + timeout, read(), time.monotonic()
    while time.monotonic() - unchanged < quiet:
        assert time.monotonic() < deadline, f"still changing: {value}"
        time.sleep(0.03)
        if (again := read()) != value:
            value, unchanged = again, time.monotonic()
    return value


def arrived(tap, wanted, patience=20.0):
    """What comes in on `tap` until all of the frames in `wanted` have come; less when that takes too long."""
    missing, seen = set(wanted), []
    for frame in tap.incoming(patience):
        seen.append(frame)
        missing.discard(frame)
        if not missing:
            break
    return seen


def drops(counted):
    """The drops among counters, by reason; a dummy packet is none of a frame, but asks how long a packet may be."""
    return {name: value for name, value in counted.items() if name.startswith("drop-") and "dummy" not in name}


def batch(nodes, taps, frames):
    """Send frames from node a's TAP so that node b takes them in one go, and merges what it may.

    Node b is held while they travel. Gives what its host sees of them, and what it counted.
    """
    near, far = taps
    before, sealed = dataplane(nodes.b), dataplane(nodes.a)["esp-packets-out"] + len(frames)
    nodes.b.send(signal.SIGSTOP)
    try:
        for frame in frames:
            near.send(frame)
        wait_until(lambda: dataplane(nodes.a)["esp-packets-out"] >= sealed, 30, "node a sending all of them", 0.02)
        settled(lambda: dataplane(nodes.a)["esp-packets-out"], quiet=0.06)
    finally:
        nodes.b.send(signal.SIGCONT)
    # On a busy machine node b may need its time: first it comes to rest, then its host's socket is emptied.
    counted = settled(lambda: since(before, nodes.b), quiet=0.4)
    seen = []
    while fresh := list(far.incoming(0.2)):
        # What host a says to groups, MLD and the like, comes when it likes.
        seen += [frame for frame in fresh if frame[:12] == far.mac + near.mac]
    return seen, counted
