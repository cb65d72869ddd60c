"""The words of the log: every event with its level, and the fields that lines carry. `docs/logging.md` is the page.

A line says what happened, then who and why as fields: `authentication failed connection=office peer=b.example.org`. An
event keeps its words for good, so that a search or an alarm written today finds them tomorrow.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """An event of the log: its level and its meaning in one sentence. `by_stranger` lines are rate-limited."""

    level: int
    meaning: str
    by_stranger: bool = False


_DEBUG, _INFO, _WARNING, _ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR

EVENTS: dict[str, Word] = {
    "node started": Word(_INFO, "The node serves: sockets and interface are open."),
    "node stopping": Word(_INFO, "The node was asked to end; reason says by whom."),
    "node stopped": Word(_INFO, "Every tunnel, link and route has been taken back."),
    "shutdown incomplete": Word(
        _WARNING, "A peer did not confirm its DELETE in time, or something could not be taken back."
    ),
    "configuration warning": Word(
        _WARNING, "The configuration works, but something in it is weak or soon out of date."
    ),
    "configuration reloaded": Word(_INFO, "The configuration was read again and is in force; reason says who asked."),
    "configuration refused": Word(
        _WARNING, "The configuration that was read again is not used, and nothing was changed; detail says why."
    ),
    "connection added": Word(_INFO, "A reload brought a connection that was not there."),
    "connection changed": Word(_INFO, "A reload changed a connection; keys says what, effect what becomes of its SAs."),
    "connection dropped": Word(_INFO, "A reload took a connection away; its SAs are deleted."),
    "hub removed": Word(_INFO, "A reload took a hub away, and its interface went, after the last tunnel in it."),
    "settings changed": Word(_INFO, "A reload changed settings of the node; keys says which."),
    "connecting": Word(_INFO, "An IKE SA is being initiated."),
    "connecting ended": Word(_INFO, "An IKE SA that was being initiated is no longer wanted, as when the node stops."),
    "connecting failed": Word(
        _WARNING, "An IKE SA that we initiated did not come up; retry_in says when the next try is."
    ),
    "authentication failed": Word(_WARNING, "One side could not prove its identity to the other.", by_stranger=True),
    "handshake refused": Word(
        _WARNING, "A handshake that a peer began did not come up, for another reason than its proof.", by_stranger=True
    ),
    "ike established": Word(_INFO, "Both sides are authenticated."),
    "ike rekeyed": Word(_INFO, "An IKE SA has new keys."),
    "ike reauthenticated": Word(_INFO, "Both sides proved themselves anew; another IKE SA took the old one's place."),
    "ike closed": Word(_INFO, "An established IKE SA ended; reason and fault say why."),
    "ike state": Word(_DEBUG, "An IKE SA went from one state to another.", by_stranger=True),
    "child established": Word(_INFO, "A Child SA is installed and carries traffic."),
    "child rekeyed": Word(_INFO, "A Child SA has new keys."),
    "child closed": Word(_INFO, "A Child SA ended."),
    "child failed": Word(
        _WARNING,
        "A Child SA could not be made; its IKE SA lives on. Where we try again, retry_in says when.",
        by_stranger=True,
    ),
    "path changed": Word(
        _INFO, "The traffic with a peer goes between other addresses from now on; reason says what changed."
    ),
    "path refused": Word(
        _WARNING, "A peer does not want to be reached over a path that we chose (RFC 4555).", by_stranger=True
    ),
    "capture begun": Word(_INFO, "Somebody copies what the tunnels carry to a file; octets of each frame are kept."),
    "capture ended": Word(_INFO, "The copying is over; frames were copied, and lost ones were not read in time."),
    "addresses changed": Word(_INFO, "This machine has other addresses than before; old and new list them."),
    "addresses unwatched": Word(
        _WARNING, "Changes of this machine's addresses go unnoticed, and tunnels do not follow them; detail says why."
    ),
    "machine woke": Word(_INFO, "This machine slept for that many seconds; each peer is asked whether it is there."),
    "redirected": Word(_INFO, "The peer sends us to another gateway, where the connection goes on."),
    "address doubled": Word(
        _WARNING, "Another interface has an address of ours too, so one of them works badly; detail says what to do."
    ),
    "address leased": Word(_INFO, "A peer asked for an inner address and got one from a pool."),
    "lease ended": Word(_INFO, "A peer's inner address rests until the same peer comes back."),
    "addresses assigned": Word(_INFO, "The peer gave us inner addresses."),
    "address added": Word(_INFO, "The interface has an address that the peer assigned."),
    "address removed": Word(_INFO, "It has been taken back."),
    "address skipped": Word(_WARNING, "An assigned address could not be set; detail says why."),
    "dns set": Word(_INFO, "Names are looked up by the peer's name servers: those of domains, or all."),
    "dns removed": Word(_INFO, "Names are looked up as before."),
    "dns skipped": Word(_WARNING, "The peer's name servers are not used; detail says why."),
    "extension note": Word(_INFO, "An extension has something to tell; detail says what.", by_stranger=True),
    "event sink off": Word(_WARNING, "An event sink gets no more events; detail says why."),
    "engine fault": Word(_ERROR, "A mistake of this program ended one IKE SA; please report it.", by_stranger=True),
    "step failed": Word(_ERROR, "A mistake of this program in one step, with its traceback; please report it."),
    "control request failed": Word(_ERROR, "The same in a command of the control socket."),
    "vault unusable": Word(
        _WARNING,
        "Peers will not be told of a crash by token, and their tickets end with this run; detail says why.",
    ),
    "state unwritten": Word(
        _ERROR, "Leases, spent tickets and totals are kept in memory only, and written as soon as it works again."
    ),
    "state written": Word(_INFO, "The state file has everything again."),
    "state set aside": Word(
        _ERROR, "The state file was damaged; place says where it is now, and a new one goes on with what is known."
    ),
    "lane added": Word(_INFO, "One more thread for packets is at work."),
    "install failed": Word(_ERROR, "The data plane did not take an SA; its child is deleted."),
    "route added": Word(_INFO, "Traffic to a child's remote selector goes through the tunnel."),
    "route removed": Word(_INFO, "A child's route has been taken back."),
    "route skipped": Word(_WARNING, "A route was not set; reason says why."),
    "path mtu changed": Word(_INFO, "Outer packets to a peer may have another length; reason says by whose word."),
    "icmp unheard": Word(
        _WARNING, "Narrow paths go unnoticed, and packets travel there in fragments; detail says why."
    ),
    "mtu changed": Word(_INFO, "The interface follows what the live tunnels can carry."),
    "tap lost": Word(_ERROR, "The network interface vanished under the node; tunnels stay up."),
    "tap restored": Word(_INFO, "The network interface has been made again."),
    "tap restore failed": Word(_ERROR, "The network interface could not be made again; the next try is in retry_in."),
    "node died": Word(
        _ERROR, "The node ended by itself or was killed; the guard has taken everything back and ends too."
    ),
    "sandbox incomplete": Word(
        _WARNING, "This kernel cannot take from the node all that it should give up; detail says what it keeps."
    ),
    "node given up": Word(_ERROR, "The guard ends a node that does not speak as one does; reason says how it spoke."),
    "firewall removed": Word(
        _WARNING, "Another program removed the table of [firewall]; detail says whether it stands again."
    ),
    "guard refused": Word(
        _WARNING,
        "The node asked for what no sound node asks; command is the question, detail says what was wrong with it.",
        by_stranger=True,
    ),
    "guard malformed": Word(
        _WARNING, "The node sent the guard something that is no question; reason says what.", by_stranger=True
    ),
    "socket unfit": Word(_WARNING, "A socket that the service manager gave is not used; detail says why."),
    "hook done": Word(_INFO, "A program of [[hooks]] ended well; detail has what it printed."),
    "hook failed": Word(_WARNING, "A program of [[hooks]] could not be run, ended with a status or ran too long."),
    "hook dropped": Word(
        _WARNING, "A program of [[hooks]] was not run for an event, for too many wait already.", by_stranger=True
    ),
    "hooks gone": Word(_ERROR, "The process that runs the programs of [[hooks]] has ended; none runs any more."),
    "lines suppressed": Word(
        _WARNING, "Lines that peers or strangers caused were left out: those of remote or peer, or of all together."
    ),
    "command": Word(
        _INFO,
        "Someone with access to the control socket had something done; uid and client say who, outcome how it went.",
    ),
    "question refused": Word(
        _INFO, "The guard did not do what the node asked for; question says what, detail why.", by_stranger=True
    ),
    "audit file unusable": Word(_ERROR, "A line of the audit is in the log alone; detail says why."),
    "metrics served": Word(_INFO, "Metrics can be read at address."),
    "metrics request failed": Word(_ERROR, "A mistake of this program in answering a request for metrics."),
}
"""Every event."""

FIELDS: dict[str, str] = {
    "connection": "the connection's or the realm's name in the configuration; absent while it is not known",
    "child": "the child's name in the configuration",
    "peer": "the peer's identity as it claimed or proved it",
    "role": "our role: initiator or responder",
    "path": "our address and port, and the peer's",
    "reason": "why, as a fixed kebab-case word; the same word is the counter's name",
    "detail": "why, as a sentence for people",
    "fault": "whose fault it was: none, local, peer or network",
    "suite": "the negotiated algorithms in swanctl's notation",
    "resumed": "yes, where a ticket stood for key exchange and proofs; else absent",
    "mode": "ethernet or tunnel",
    "spi_in": "the inbound ESP SPI in hexadecimal",
    "spi_out": "the outbound ESP SPI in hexadecimal",
    "local_ts": "our traffic selectors",
    "remote_ts": "the peer's traffic selectors",
    "old": "the state, path or value before",
    "new": "the state, path or value after",
    "extension": "the name of an extension in node.extensions",
    "sink": "the name of an event sink in node.event_sinks",
    "interface": "the network interface's name",
    "hub": "a hub, by its name in the configuration",
    "mtu": "octets",
    "destination": "a network in CIDR notation",
    "source": "an address of this machine",
    "addresses": "inner addresses, with prefix lengths where they are ours",
    "dns": "name servers that the peer gave us",
    "domains": "the names that they are asked for; none means all",
    "retry_in": "seconds until the next try",
    "established_ms": "milliseconds from the first IKE message to the first installed Child SA",
    "command": "the control command, the question put to the guard, or the program of a hook",
    "target": "the gateway that peers are sent to",
    "uid": "the number of the user who gave a command",
    "client": "the process that gave a command",
    "outcome": "done, refused or failed; or interrupted, when the node ended meanwhile",
    "question": "what the guard was asked, as a word",
    "address": "where something is served, or the inner address that a command is about",
    "lane": "the number of a data plane thread; of a Child SA, the only one that sends on it",
    "octets": "how many octets of each frame are kept",
    "frames": "how many frames were copied",
    "lost": "how many copies were lost",
    "errno": "the system's name of an error",
    "suppressed": "how many lines were left out",
    "remote": "the address whose lines were left out, of IPv6 its /64",
    "port": "the IKE port",
    "natt_port": "the NAT traversal port",
    "pid": "the process",
    "version": "rhp's version",
    "place": "a file, with the line where there is one",
    "keys": "keys of the configuration",
    "effect": "what a changed connection means for its SAs: swap, renew or anew; docs/configuration.md explains them",
    "added": "how many connections are new",
    "changed": "how many connections are others than before",
    "removed": "how many connections have gone",
}
"""Every field with its meaning."""
