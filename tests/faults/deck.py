"""The faults of a round. Each does one thing to the office and returns when it is done, with what was hit.

They are dealt as a shuffled deck of cards is, so that each comes up before any comes twice; the seed decides order and
details.
"""

import os
import signal
import time

from books import difference, machine
from office import CHILD, DESK, ROAD, kill

from rhp.guard import exits
from rhp.lab.errors import LabError
from rhp.lab.faults import Faults
from rhp.lab.pair import TAP
from rhp.lab.process import runs, wait_until
from rhp.lab.topology import PORT

STRUCK = (DESK, ROAD)
"""The peers whose own processes are struck."""


def deal(fate, rounds):
    """So many cards from as many decks as it takes."""
    cards = []
    while len(cards) < rounds:
        deck = list(DECK)
        fate.shuffle(deck)
        cards += deck
    return cards[:rounds]


def gate_guard_killed(office, fate):
    return killed(office, "gate", "guard", fate)


def gate_node_killed(office, fate):
    return killed(office, "gate", "node", fate)


def gate_without_power(office, fate):
    return power_cut(office.gate)


def gate_guard_told_to_end(office, fate):
    return ended(office, "gate", "guard")


def gate_node_told_to_end(office, fate):
    return ended(office, "gate", "node")


def peer_guard_killed(office, fate):
    return killed(office, fate.choice(STRUCK), "guard", fate)


def peer_node_killed(office, fate):
    return killed(office, fate.choice(STRUCK), "node", fate)


def peer_without_power(office, fate):
    return power_cut(office.peers[fate.choice(STRUCK)])


def peer_told_to_end(office, fate):
    return ended(office, fate.choice(STRUCK), fate.choice(["guard", "node"]))


def all_without_power(office, fate):
    struck = [office.gate, *(office.peers[name] for name in STRUCK)]
    before = [supervisor.starts for supervisor in struck]
    for supervisor in struck:
        power_cut(supervisor, wait=False)
    for supervisor, starts in zip(struck, before, strict=True):
        supervisor.wait_started(starts)
    return "gate, desk, road"


def interface_down(office, fate):
    """The gateway is told, and its addresses stay."""
    seconds = fate.uniform(0.5, 2.5)
    office.gate_host.ip(f"link set {PORT} down")
    time.sleep(seconds)
    office.gate_host.ip(f"link set {PORT} up")
    return f"{seconds:.1f} s"


def cable_cut(office, fate):
    """Beyond the first switch: nobody is told."""
    seconds = fate.uniform(1, 4)
    with office.cut():
        time.sleep(seconds)
    return f"{seconds:.1f} s"


def killed_behind_a_cut_cable(office, fate):
    """No farewell and no answer gets through until the node is back."""
    role = fate.choice(["guard", "node"])
    with office.cut():
        killed(office, "gate", role, fate)
    return role


def bad_cable(office, fate):
    """Loss, doubles and disorder, while every SA is rekeyed."""
    seconds = fate.uniform(2, 3)
    faults = Faults(loss=0.15, duplicate=0.05, reorder=0.05, seed=fate.randrange(1 << 16))
    office.relay.become(faults)
    try:
        for name, peer in office.peers.items():
            fate.choice([peer.node.rekey_ike, lambda name, node=peer.node: node.rekey_child(name, CHILD[name])])(name)
        time.sleep(seconds)
    finally:
        office.relay.become(Faults())
    return f"{faults.loss:.0%} lost for {seconds:.1f} s"


def disk_full(office, fate):
    """The gateway dies and has to start on the full disk, and all tunnels come up on it."""
    roles = fate.choice(["guard", "node", "both"])
    office.disk.fill()
    try:
        what = power_cut(office.gate) if roles == "both" else killed(office, "gate", roles, fate)
        office.wait_up(60)
    finally:
        office.disk.empty()
    return what


def interface_deleted(office, fate):
    """Somebody takes the TAP away."""
    name = fate.choice(["gate", *STRUCK])
    node = office.supervisors[name].node
    before = node.process.text().count("tap restored")
    node.namespace.ip(f"link delete {TAP}")
    wait_until(lambda: node.process.text().count("tap restored") > before, 60, f"{name} making its interface again")
    return name


DECK = (
    gate_guard_killed,
    gate_node_killed,
    gate_without_power,
    gate_guard_told_to_end,
    gate_node_told_to_end,
    peer_guard_killed,
    peer_node_killed,
    peer_without_power,
    peer_told_to_end,
    all_without_power,
    interface_down,
    cable_cut,
    killed_behind_a_cut_cable,
    bad_cable,
    disk_full,
    interface_deleted,
)
SHORT = (
    gate_node_killed,
    peer_guard_killed,
    interface_down,
    gate_guard_killed,
    disk_full,
    bad_cable,
    peer_node_killed,
    gate_node_told_to_end,
)
"""One of each kind, for a run of less than a minute."""


def killed(office, name, role, fate):
    """kill -9 one of the two processes; returns when the node is started again.

    Half of the time the next start comes at once, while the other process is still about its own end. Else that is
    waited for, and nothing may be left of the node. Without its guard it cannot give back name servers: the next start
    does.
    """
    supervisor = office.supervisors[name]
    starts, ends, pids = supervisor.starts, len(supervisor.ends), supervisor.processes()
    if fate.random() < 0.5:
        kill(pids[role])
    else:
        with supervisor.held():
            kill(pids[role])
            supervisor.wait_ended(ends)
            wait_until(lambda: not runs(pids["node"]), 60, f"the end of the node of {name}")
            nothing_left(office, name, () if role == "node" else ("names",))
    supervisor.wait_started(starts)
    if supervisor.ends[ends] != (exits.NODE_DIED if role == "node" else -signal.SIGKILL):
        raise LabError(f"{name}, whose {role} was killed, ended with status {supervisor.ends[ends]}")
    return f"{name}, {role}"


def power_cut(supervisor, wait=True):
    """kill -9 both processes, the guard first being held so that it takes nothing back."""
    before, pids = supervisor.starts, supervisor.processes()
    supervisor.node.process.send(signal.SIGSTOP)
    kill(pids["node"])
    kill(pids["guard"])
    if wait:
        supervisor.wait_started(before)
    return f"{supervisor.node.namespace.name.rpartition('-')[2]}, both"


def ended(office, name, role):
    """SIGTERM one of the two processes, wait for an end in order that leaves nothing, start the node again."""
    supervisor = office.supervisors[name]
    ends, pids = len(supervisor.ends), supervisor.processes()
    os.kill(pids[role], signal.SIGTERM)
    status = supervisor.wait_ended(ends)
    if status != exits.DONE or runs(pids["node"]):
        raise LabError(f"{name}, told to end, ended with status {status}; its node is there: {runs(pids['node'])}")
    nothing_left(office, name)
    supervisor.start()
    return f"{name}, {role}"


def nothing_left(office, name, without=()):
    """Raise `LabError` unless a host whose node has ended is as it was before there was one."""
    before, now = (
        {name: {**book, **dict.fromkeys(without, ())}} for book in (office.bare[name], machine(office, name))
    )
    if found := difference(before, now):
        raise LabError("\n".join(["the node has ended and has not taken everything back:", *found]))
