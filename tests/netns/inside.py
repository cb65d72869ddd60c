"""An extension that tries, from inside the running node, whatever a node that was taken over would try.

The node imports it once it has given everything up. What came of each attempt stands in a file of the node's own
folder: "done", or the name of the error that the kernel answered with.
"""

import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path

from rhp.net import netlink

TOLD = json.loads(os.environ["RHP_INSIDE"])
GUARD = os.getppid()
_libc = ctypes.CDLL(None, use_errno=True)
_CALLS = {
    "x86_64": {"mount": 165, "unshare": 272, "setns": 308, "bpf": 321, "keyctl": 250, "finit_module": 313, "clone": 56},
    "aarch64": {"mount": 40, "unshare": 97, "setns": 268, "bpf": 280, "keyctl": 219, "finit_module": 273, "clone": 220},
}[os.uname().machine]
_PTRACE_ATTACH, _PTRACE_SEIZE = 16, 0x4206
_CLONE_NEWUSER = 0x10000000


def called(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def call(name, *values):
    return called(_libc.syscall(_CALLS[name], *values))


def ptrace(request):
    return called(_libc.ptrace(request, GUARD, None, None))


def read_memory():
    room = ctypes.create_string_buffer(8)
    vector = struct.pack("=QQ", ctypes.addressof(room), 8)
    called(_libc.process_vm_readv(GUARD, vector, 1, struct.pack("=QQ", 0x400000, 8), 1, 0))


def add_address():
    """RTM_NEWADDR for the loopback interface."""
    body = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, 1) + netlink.attribute(2, bytes((10, 66, 0, 1)))
    netlink.change(20, body, 0x400)


def add_route():
    """RTM_NEWROUTE of everything to the loopback interface."""
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 4, 0, 1, 0) + netlink.attribute(
        4, struct.pack("=I", 1)
    )
    netlink.change(24, body, 0x400)


def make_tap():
    with open("/dev/net/tun", "r+b", buffering=0) as device:  # noqa: PTH123
        fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", b"rhpx0", 0x1002))


def forked():
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)


MUST_FAIL = {
    "the key's file": lambda: Path(TOLD["key"]).read_bytes(),
    "the configuration": lambda: Path(TOLD["configuration"]).read_bytes(),
    "the guard's folder": lambda: list(Path(TOLD["folder"] + "-guard").iterdir()),
    "another's file": lambda: Path(TOLD["other"]).read_bytes(),
    "a file elsewhere": lambda: Path(TOLD["other"]).with_name("made").write_bytes(b""),
    "the passwords": lambda: Path("/etc/shadow").read_bytes(),
    "a list of /etc": lambda: list(Path("/etc").iterdir()),
    "the guard's memory": lambda: Path(f"/proc/{GUARD}/mem").open("rb").close(),
    "the guard's environment": lambda: Path(f"/proc/{GUARD}/environ").read_bytes(),
    "the guard's descriptors": lambda: list(Path(f"/proc/{GUARD}/fd").iterdir()),
    "the guard's memory by a call": read_memory,
    "ptrace attach": lambda: ptrace(_PTRACE_ATTACH),
    "ptrace seize": lambda: ptrace(_PTRACE_SEIZE),
    "to kill the guard": lambda: os.kill(GUARD, signal.SIGKILL),
    "exec": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606
    "a program": lambda: subprocess.run(["/bin/true"], check=True),
    "fork": forked,
    "a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300),
    "another netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12),
    "a port of root's": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(("127.0.0.1", 53)),
    "a protocol that nobody uses": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132),
    "an echo": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
    "another's address": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).setsockopt(41, 78, 1),
    "headers of its own": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).setsockopt(0, 3, 1),
    "an interface that stays": lambda: fcntl.ioctl(socket.socket(), 0x400454CB, 1),
    "an address": add_address,
    "a route": add_route,
    "a TAP": make_tap,
    "mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "a namespace": lambda: call("unshare", _CLONE_NEWUSER),
    "a process in a namespace": lambda: call("clone", _CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0),
    "bpf": lambda: call("bpf", 0, None, 0),
    "keyctl": lambda: call("keyctl", 0, 0, 0, 0, 0),
    "a module": lambda: call("finit_module", 0, b"", 0),
    "root": lambda: os.setresuid(0, 0, 0),
    "a group": lambda: os.setgroups([0]),
    "to be debugged again": lambda: called(_libc.prctl(4, 1, 0, 0, 0)),
}


def threads():
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


# What a node needs, lest the proofs above be those of a process that can do nothing at all.
MUST_WORK = {
    "its own file": lambda: Path(TOLD["folder"], "mine").write_bytes(b"mine"),
    "a UDP socket": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close(),
    "a name": lambda: socket.getaddrinfo("localhost", 500),
    "the machine's routes": lambda: list(netlink.dump(26, bytes(12))),
    "a thread": threads,
    "its own code": lambda: Path(socket.__file__).read_bytes(),
}


def outcome(attempt):
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "done"


found = {
    kind: {name: outcome(one) for name, one in attempts.items()}
    for kind, attempts in (("must fail", MUST_FAIL), ("must work", MUST_WORK))
}
Path(TOLD["folder"], "inside.json").write_text(json.dumps(found))
