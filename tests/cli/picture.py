"""What a node says of itself, as `rhp status` gets it."""

CHILD = {
    "name": "ethernet",
    "mode": "ethernet",
    "suite": "aes128gcm16-esn",
    "encapsulation": "udp",
    "mtu": 1422,
    "spi_in": "0000a001",
    "spi_out": "0000b001",
    "bytes_in": 1234567,
    "bytes_out": 12,
    "age_s": 61.0,
    "rekey_in_s": 3000.0,
    "port": 1,
    "lane": None,
    "lanes": [
        {"lane": 0, "bytes_in": 1234000, "bytes_out": 12, "packets_in": 900, "packets_out": 1, "drops": 0},
        {"lane": 1, "bytes_in": 567, "bytes_out": 0, "packets_in": 7, "packets_out": 0, "drops": 0},
    ],
}
OF_LANE_1 = {**CHILD, "lane": 1, "lanes": [], "spi_in": "0000a003", "spi_out": "0000b003"}
IKE = {
    "ike_id": 1,
    "ike_state": "established",
    "connection": "office",
    "peer": "b.example.org\x1b[31m",
    "realm": None,
    "path": {"local": "192.0.2.1:4500", "remote": "192.0.2.7:4500", "natt": True},
    "peer_addresses": ["198.51.100.7"],
    "suite": "aes128gcm16-prfsha256-x25519",
    "age_s": 90000.0,
    "rekey_in_s": 7300.0,
    "assigned": None,
    "leased": [],
    "children": [CHILD, OF_LANE_1],
}
OF_SALES = {**IKE, "ike_id": 3, "connection": "sales", "realm": "sales", "peer": "carl@x.org", "leased": ["10.1.0.1"]}
REALM = {
    "name": "sales",
    "match": ["*@x.org", "O=example, OU=sales"],
    "local": "a.example.org",
    "auth": {"local": "pubkey", "remote": "pubkey"},
    "peers": 1,
    "pools": ["sales"],
    "children": ["ethernet"],
    "hub": "shop",
    "isolate": True,
}
WITH_REALMS = {
    "realms": [
        REALM,
        {**REALM, "name": "works", "match": ["any"], "peers": 0, "pools": [], "hub": None, "isolate": False},
    ],
    "pools": [{"name": "sales", "size": 254, "online": 1, "resting": 0}],
    "ike_sas": [IKE, OF_SALES],
}
COUNTED = {
    "tap-frames-in": 70,
    "tap-frames-out": 71,
    "tap-super-frames-in": 60,
    "tap-super-frames-out": 61,
    "tap-octets-in": 3_000_000,
    "tap-octets-out": 4_000_000,
    "esp-packets-in": 2100,
    "esp-packets-out": 2000,
    "packets-merged": 2040,
    "trains-in": 50,
    "trains-out": 48,
    "receive-calls": 55,
    "send-calls": 40,
    "wakeups": 33,
    "drop-replay": 0,
    "drop-hub-isolated": 2,
    "drop-auth-failed": 5,
}
LANE = {
    "lane": 0,
    "cpu": 3,
    "cpu_s": 61.5,
    "packets_per_train_in": 42.0,
    "packets_per_train_out": None,
    "counters": COUNTED,
}
PICTURE = {
    "schema_version": 1,
    "version": "0.1.0",
    "openssl": "OpenSSL 3.5.7 9 Jun 2026",
    "pid": 42,
    "state": "running",
    "uptime_s": 7322.0,
    "interface": {
        "name": "rhp0",
        "addresses": ["10.77.0.1/24"],
        "present": True,
        "up": True,
        "mac": "02:00:00:00:00:01",
        "mtu": 1422,
    },
    "hubs": [{"name": None, "interface": {"name": "rhp0", "present": True, "up": True}}],
    "connections": [
        {**IKE, "name": "office", "state": "established", "redirects_to": None, "last_error": None, "retry_in_s": None},
        {
            **dict.fromkeys(IKE),
            "name": "branch",
            "state": "failed",
            "redirects_to": None,
            "last_error": "authentication failed: c.example.org: the pre-shared key of c.example.org is not ours",
            "retry_in_s": 4.2,
            "children": [],
        },
    ],
    "ike_sas": [IKE, {**IKE, "ike_id": 2, "connection": None, "ike_state": "connecting", "peer": None, "children": []}],
    "realms": [],
    "pools": [],
    "macs": [],
    "lanes": 2,
    "steering": "flow",
    "lane_details": [LANE, {**LANE, "lane": 1, "cpu": None, "counters": dict.fromkeys(COUNTED, 0)}],
    "offloads": [
        {"name": "tap-checksums", "in_use": True, "detail": ""},
        {"name": "tap-udp-super-frames", "in_use": False, "detail": "kernels before 6.2 have no USO"},
        {"name": "udp4-send-trains", "in_use": True, "detail": "up to 64 datagrams"},
    ],
    "failures": [
        {
            "time": "2026-03-01T12:00:00+00:00",
            "event": "authentication failed",
            "connection": "branch",
            "peer": "c.example.org",
            "detail": "the pre-shared key of c.example.org is not ours",
            "count": 3,
        }
    ],
    "counters": {},
}
