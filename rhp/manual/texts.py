"""What each key of the configuration is for, as docs/configuration.md and rhp.toml(5) say it.

A new key needs a line here and nothing else: its type and its default come from the model. Keys that are explained
together stand on one line, with a comma between them. A text is Markdown; links lead from `docs/`.
"""

from __future__ import annotations

TEXTS: dict[str, dict[str, str]] = {
    "node": {
        "port": "IKE",
        "natt_port": "IKE and ESP in UDP",
        "path_mtu": (
            "how long an outer packet may be: found out, at most 1500 octets; or a number, such as 9000 "
            "where the whole way carries that, or less over IPv6 where ICMP is filtered"
        ),
        "lanes": (
            "threads for packets; one on two cores or fewer, where a second only adds wake-ups, else one "
            "less than cores and at most 8. With several, two rhp nodes make a Child SA for each (RFC 9611)"
        ),
        "cpus": "a processor for each lane, to which it is bound: `[2, 3]`; also says how many lanes there are",
        "spare_lanes": (
            "how many more lanes `rhp add-lane` may add while the node runs; they take part in `steering`, "
            "but not in `cpus`"
        ),
        "steering": (
            'which lane takes a frame from the interface: `"flow"` spreads flows over the lanes, `"station"` '
            "keeps all that goes to one station in one lane, and so in order"
        ),
        "run_dir": (
            "control socket and lock. This folder and `state_dir` become the node's at its start; others "
            "must be able to pass the folders above them"
        ),
        "user, group": (
            "whom the node runs as, the process that talks to the world. Made by `systemd-sysusers` with the "
            "package's `rhp/data/sysusers.conf`, or by `tools/make-users`"
        ),
        "guard_user": "whom the guard runs as, the process that has the keys; another user than the node's",
        "state_dir": (
            "for what outlives a restart: `vault.json`, the secrets behind crash tokens and tickets, and "
            "`state.db`, see [below](#long-term-state). One folder for one node. Beside it, with `-guard` "
            "behind its name, the guard keeps the original of resolv.conf"
        ),
        "extensions": (
            "extensions of the protocol to load, by the names that their packages give them; see "
            "[extensions.md](extensions.md)"
        ),
        "esp_provider": (
            'what carries the packets; `"reference"` is the slow one in plain Python, for comparisons. This and the '
            "next two: see [providers.md](providers.md)"
        ),
        "crypto_providers": "packages whose algorithms proposals may name",
        "event_sinks": 'what is told of every event; `"jsonl"` writes `events.jsonl` into `state_dir`',
        "log_level": "`debug`, `info`, `warning` or `error`",
        "log_levels": (
            'levels of parts of the node that differ, such as `{ike = "debug", link = "warning"}`; '
            "[logging.md](logging.md) lists the parts"
        ),
        "log_format": (
            '`"text"`, `"json"` (one object a line) or `"journal"` (with fields of its own); by default the '
            "journal where systemd reads standard error, else text"
        ),
        "audit_file": (
            "a file for who did what to the node, one JSON object a line, beside the same lines in the log; in "
            "`state_dir` or `run_dir`, for the node may write nowhere else; see [logging.md](logging.md#the-audit)"
        ),
        "metrics": (
            'where Prometheus reads [metrics](metrics.md): `"127.0.0.1:9469"`, with a port from 1024 on, or '
            '`"unix:/run/rhp/metrics.sock"`'
        ),
    },
    "interface": {
        "name": "the TAP of the node's own hub, for all peers that are in no other",
        "addresses": 'with prefix lengths: `["10.77.0.1/24", "fd77::1/64"]`',
        "bridge": "a bridge that the TAP joins; it must exist",
        "mtu": "what path and suite leave, so that nothing is fragmented; in a bridge the bridge's own",
        "queue_length": (
            "frames that may wait for the node, else the kernel's 1000; 250 bounds the delay under load, "
            "with 64 TCP loses some"
        ),
        "segments": "the most segments in one super-frame (`gso_max_segs`), else the kernel's; for measurements",
        "mac": "the same after a restart, so that no ARP cache goes stale",
    },
    "hub": {
        "mac_ageing": "seconds until a silent station is forgotten",
        "isolate": "peers see the TAP and not each other",
        "arp_proxy": "answer ARP and ND for peers in tunnel mode",
        "mss_clamp": "what fits the path; `false`, or octets",
        "oversize": (
            'a frame that is too long for the path travels in outer fragments; `"answer"` tells its sender '
            'by ICMP "fragmentation needed" or ICMPv6 "packet too big" where one can be told, and fragments '
            "the rest"
        ),
        "ordering": (
            'Ethernet frames go on as they arrive. `"drop"` drops those that were overtaken; `"hold"` holds '
            "what has overtaken others for up to 4 ms (at most 64 packets a lane; the Child SA that holds "
            "most gives way) until those have come, then drops the late. By ESP sequence number, so only "
            "frames of one Child SA are in order; each lost packet costs what follows it the wait. For "
            "protocols that cannot bear a changed order; a peer with several lanes needs a Child SA for each "
            "(two rhp nodes agree on that by themselves)"
        ),
        "static": '`[{mac = "02:..", connection = "office-b"}]`: a station that nobody else can claim',
    },
    "firewall": {
        "forward": (
            "switch IP forwarding on, of IPv4 and of IPv6; what was on before stays on. Linux then takes no IPv6 "
            "default route from routers' advertisements any more, unless the sysctl `accept_ra` of that link is 2"
        ),
        "masquerade": (
            "networks whose packets leave with this machine's address where they leave by another interface than "
            "ours: usually those of the pools"
        ),
        "isolate": (
            "what comes in by one of our interfaces or bridges leaves by none of them: no routing between hubs. Peers "
            "of one hub are kept apart by `isolate` of the hub, a connection or a realm"
        ),
    },
    "hooks[]": {
        "on": (
            "what it is for: `node-up` (the node serves), `node-down` (it begins to end), `tunnel-up` (the first child "
            "of an IKE SA is installed), `tunnel-down` (that IKE SA has ended), `path-changed`, `addresses-assigned` "
            "(to us), `address-leased`, `lease-ended`"
        ),
        "command": "the program's absolute path, then its arguments; no shell reads them",
        "timeout": "seconds; then it is killed with all that it started",
        "privileged": "run as root; then nobody else may be able to write the program's file",
        "user": "whom it runs as",
    },
    "hubs.NAME": {
        "interface": '`interface.name = "rhp1"`, `interface.bridge = "br-sales"`, ..',
    },
    "connections.NAME": {
        "remote_addrs": (
            "addresses, networks or host names; without one, the node waits for the peer. Several addresses "
            "of one peer come in the order of preference"
        ),
        "local_addrs": "where this connection serves; several come in the order of preference",
        "remote_port, remote_natt_port": "where the peer listens: for IKE, and for IKE and ESP in UDP",
        "psk, psk_file": "the shared key; a line of text, `0x` hex or `0s` base64. The file must have mode 0600",
        "psk_files": (
            'keys for some of the peers that `remote.id` fits: `{"carl@example.org" = "carl.psk", '
            '"*@lab.example.org" = "lab.psk"}`; the narrowest counts, and who is not among them has the key '
            "above"
        ),
        "ppk_id": "the name of a post-quantum preshared key, the same at both ends",
        "ppk, ppk_file": (
            "the PPK itself (RFC 8784), written as a `psk` is; mixed into the keys beside whatever proves "
            "both ends, so that a recording is of no use to a quantum computer. 32 random octets: `rhp "
            "keygen ppk`"
        ),
        "ppk_required": "`false` lets a peer in that does not know the PPK, while it is being handed out",
        "local.id": 'who we are: `a.example.org`, `a@example.org`, an address, or `"C=CH, O=example, CN=a"`',
        "local.auth, remote.auth": (
            '`"psk"`, `"pubkey"`, or `"null"` for no proof and no name at all (RFC 7619); the two may differ, see below'
        ),
        "local.certs, local.key": "PEM; the node's certificate first",
        "local.rsa_pss": "an RSA key signs with PSS where the peer knows RFC 7427; some clients read PKCS#1 v1.5 only",
        "remote.id": 'whom we expect: exact, `"*@example.org"`, `"*.example.org"`, a network of addresses or `"%any"`',
        "remote.cas": (
            "PEM of the authorities that may vouch for the peer, and their revocation lists (CRLs), if any: a list "
            "counts for what its issuer has signed, and one that has run out refuses all of it"
        ),
        "remote.certificate_store": (
            "where the authorities are, if not in the files of `remote.cas`; see [providers.md](providers.md)"
        ),
        "proposals": (
            "for the IKE SA, as in swanctl: `aes128gcm16-prfsha256-x25519-ke1_mlkem768`. `ke1_` to `ke7_` "
            "are additional key exchanges (RFC 9370), such as ML-KEM against quantum computers; with "
            "`ke1_none` the first may be left out. The default takes ML-KEM where the peer knows it"
        ),
        "encapsulation": '`"auto"` takes IP protocol 50 where there is no NAT',
        "mobike": (
            "the tunnel stays when an address of either side changes or a path falls silent (RFC 4555); see "
            "[roaming.md](roaming.md)"
        ),
        "start": '`"initiate"` or `"wait"`',
        "pools": "the pools that a peer gets its inner addresses from when it asks, in this order",
        "hub": "the `[hubs.NAME]` that its peers are in; without it the node's own hub",
        "isolate": "its peers do not hear each other, whatever the hub allows",
        "mss_clamp": "as in `[hub]`, for its peers",
        "path_mtu": (
            "how long an outer packet to its peers may be at most, in octets: 1400 for a network of mobile phones"
        ),
        "lanes": "for how many lanes a peer may have a Child SA of its own (RFC 9611); 1 is one pair for all",
        "request_addresses": "ask the peer for our inner addresses, and use no peer that gives none",
        "childless": (
            'when we call: `"prefer"` makes the IKE SA first and the first child by an exchange of its own, '
            'so that it can have its own key exchange (RFC 6023), where the peer can do so; `"force"` takes '
            "nothing else"
        ),
        "resumption": "ask for tickets when we call, give them when we are called: see [below](#resumption)",
        "follow_redirects": (
            "when we call: let the peer send us to another gateway (RFC 5685), which has to prove the same "
            "identity; at most five times in five minutes. The peer sends by `rhp redirect`"
        ),
        "unique": (
            'of two IKE SAs with one peer the newer one stays; `"keep"`: a peer that is here already is '
            'refused from another address, unless it says that it has started anew; `"never"`: all live side '
            "by side, for peers that share an identity"
        ),
        "dpd_delay": "silence after which the peer is asked whether it lives; 0 is never",
        "reauth_time": (
            "after how long (or at once, by `rhp rekey NAME --reauth`) both sides prove themselves anew, on "
            "a new IKE SA that takes the old one's place without a gap; 0 is never. The side that was called "
            "asks for it (AUTH_LIFETIME, RFC 4478), and ends an IKE SA that was not renewed a tenth of the "
            "time later"
        ),
        "rekey_time, over_time": "when the IKE SA is renewed, and how long that may take",
    },
    "realms.NAME": {
        "match": (
            'whom it is for: `["*@sales.example.com", "*.sales.example.com", "O=example, OU=sales"]`; the '
            "narrowest rule of all realms decides"
        ),
    },
    "connections.NAME.children.NAME": {
        "mode": 'EtherIP in transport mode; or `"tunnel"`, IP in tunnel mode',
        "local_ts, remote_ts": (
            'tunnel mode: what lies on our side and on theirs, `"10.88.0.0/24"`, `"10.88.0.0/24[tcp/443]"`'
        ),
        "esp_proposals": (
            "`aes128gcm16-x25519-esn`; with a key exchange, rekeys have perfect forward secrecy, and with "
            "`ke1_` and so on additional ones as for the IKE SA"
        ),
        "rekey_time": "when it is renewed; a tenth later it ends",
        "rekey_bytes, rekey_packets": (
            'how much it carries in one direction until it is renewed, `"64G"`, `1000000000`; after a tenth '
            "more it carries nothing. 0 is no such limit"
        ),
        "replay_window": "packets, 32 to 4096",
    },
    "pools.NAME": {
        "addresses": (
            '`["10.88.0.0/24"]`, `["10.88.0.10-10.88.0.99"]`; a pool of any size costs what is lent of it. '
            "This node's own addresses are never lent"
        ),
        "dns": 'name servers: `["10.88.0.1"]`',
        "domains": (
            'the names that these are asked for, `["corp.example.org"]` (RFC 8598); without any, clients ask '
            "them for all"
        ),
        "nbns": "NetBIOS name servers, for Windows",
        "subnets": "networks that clients are told to reach through here",
        "fixed": 'addresses of the pool for one identity each: `fixed = {"a@example.org" = "10.88.0.7"}`',
    },
}
"""By section, in the order of the page."""

WORDS: dict[tuple[str, str], str] = {
    ("interface", "mac"): "made from machine, name and identities",
    ("hubs.NAME", "interface"): "named after the hub",
    ("connections.NAME", "remote_addrs"): "any",
    ("connections.NAME", "local_addrs"): "any",
    ("connections.NAME", "local.id"): "",
    ("connections.NAME", "local.auth"): "by what is given",
    ("connections.NAME", "remote.id"): "",
    ("connections.NAME", "remote.auth"): "by what is given",
    ("connections.NAME", "proposals"): "safe ones",
    ("connections.NAME", "start"): "by `remote_addrs`",
    ("connections.NAME", "mss_clamp"): "the hub's",
    ("connections.NAME", "over_time"): "a tenth of it",
    ("connections.NAME.children.NAME", "esp_proposals"): "safe ones",
    ("pools.NAME", "addresses"): "",
}
"""Where the model has no default of its own, what holds instead; without an entry that is "none"."""
