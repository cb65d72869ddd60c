"""What a machine has to have the same of before and after a fault; and how much memory its processes hold.

Whatever is another at each start by its nature, MAC addresses of TAPs and what is made of them, index numbers and
process ids, is left out or named otherwise.
"""

import collections
import json
import re
import time
from contextlib import suppress
from pathlib import Path

from rhp.lab.errors import LabError
from rhp.lab.programs import find

LINK_LOCAL = re.compile(r"fe80::[0-9a-f]+:[0-9a-f:]+")
MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
LINK_KEYS = ("ifname", "flags", "mtu", "qdisc", "operstate", "txqlen", "promiscuity", "gso_max_segs", "master")
ADDRESS_KEYS = ("family", "local", "prefixlen", "scope", "valid_life_time")


def books(office):
    """The books of the whole office, a text to a line, by host and subject."""
    pages = {}
    for name, supervisor in office.supervisors.items():
        host, folder = office.hosts[name], supervisor.node.folder
        known = supervisor.processes()
        pages[name] = {
            **machine(office, name),
            "files": files(office, name, folder),
            "processes": strangers(host, {*known.values(), *([office.disk.pid] if name == "gate" else [])}),
            **{f"descriptors of the {role}": descriptors(pid) for role, pid in known.items()},
            **{f"threads of the {role}": threads(pid) for role, pid in known.items()},
        }
    for host in (office.net, office.wire):
        pages[host.name.rpartition("-")[2]] = {"links": links(host)}
    return pages


def machine(office, name):
    """What a node may change of its host."""
    host = office.hosts[name]
    return {
        "links": links(host),
        "routes": lines(host, "route", "show", "table", "all"),
        "rules": lines(host, "rule", "show"),
        "nftables": host.run([find("nft"), "list", "ruleset"]).splitlines(),
        "names": office.names[name].text().splitlines(),
    }


def links(host):
    """Interfaces with their addresses."""
    found = []
    for link in json.loads(host.run([find("ip"), "-j", "-d", "address", "show"])):
        found.append(" ".join(f"{key}={link.get(key)}" for key in LINK_KEYS))
        for entry in link["addr_info"]:
            found.append(f"{link['ifname']}: " + " ".join(f"{key}={entry.get(key)}" for key in ADDRESS_KEYS))
    return sorted(nameless(line) for line in found)


def lines(host, *what):
    """What `ip` shows of both families, sorted."""
    shown = [host.run([find("ip"), version, *what]) for version in ("-4", "-6")]
    return sorted(nameless(line) for text in shown for line in text.splitlines())


def nameless(line):
    """A line without what is made of a MAC address."""
    return MAC.sub("MAC", LINK_LOCAL.sub("fe80::x", line)).strip()


def files(office, name, folder):
    """What lies in the run folder and the state folder."""
    state = office.disk.inside / "state" if name == "gate" else folder / "state"
    return sorted(f"{place.name}/{path.name}" for place in (folder / "run", state) for path in place.iterdir())


def strangers(host, known):
    """Processes that live in the namespace beside those that should."""
    found = []
    for pid in host.processes():
        if pid not in known:
            with suppress(FileNotFoundError, ProcessLookupError):
                found.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
    return sorted(found)


def descriptors(pid):
    """What a process has open: how many of each kind."""
    counted = collections.Counter()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            counted[re.sub(r"\[\d+\]$", "", str(entry.readlink()))] += 1
    return [f"{count} x {target}" for target, count in sorted(counted.items())]


def threads(pid):
    """How many a process has."""
    return [str(sum(1 for _ in Path(f"/proc/{pid}/task").iterdir()))]


def difference(before, after):
    """What is in one and not in the other, for a person."""
    found = []
    for host, pages in before.items():
        for subject, page in pages.items():
            old, new = collections.Counter(page), collections.Counter(after[host][subject])
            found += [f"{host}, {subject}: missing {line}" for line in (old - new).elements()]
            found += [f"{host}, {subject}: new {line}" for line in (new - old).elements()]
    return found


def balanced(office, before, timeout):
    """Wait until the books are as they were `before`; raises `LabError` with the difference."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            found = difference(before, books(office))
        except (FileNotFoundError, LabError) as error:
            found = [str(error)]
        if not found:
            return
        if time.monotonic() > deadline:
            raise LabError("\n".join([f"the books do not balance after {timeout:g} s:", *found]))
        time.sleep(0.2)


class Memory:
    """How much each process has held in RAM, by what it is: the first reading of each, and the last."""

    def __init__(self):
        self.lives = {}

    def note(self, office):
        """Read it of every process."""
        for name, supervisor in office.supervisors.items():
            for role, pid in supervisor.processes().items():
                rss = resident_kb(pid)
                life = self.lives.setdefault((name, role), {}).setdefault(pid, [])
                life.append(rss)

    def growth(self):
        """By what it is: kB that its longest life has grown by, rounds it lived, and kB of the first and last life."""
        for what, lives in self.lives.items():
            longest = max(lives.values(), key=len)
            first, last = next(iter(lives.values())), next(reversed(lives.values()))
            yield what, longest[-1] - longest[0], len(longest), first[0], last[-1]


def resident_kb(pid):
    """VmRSS."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1])
