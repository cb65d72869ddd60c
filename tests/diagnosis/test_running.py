"""What the doctor makes of a running node's own words."""

from rhp.diagnosis import running

SA = {
    "connection": "office",
    "age_s": 5.0,
    "nat": {"local": False, "remote": False},
    "children": [{"name": "lan", "mtu": 1422}],
}
STATUS = {
    "pid": 42,
    "version": "0.1.0",
    "ports": {"ike": 500, "natt": 4500},
    "interface": {"name": "rhp0", "present": True, "up": True, "mtu": 1422},
    "hubs": [{"name": None, "interface": {"name": "rhp0", "present": True, "up": True, "mtu": 1422}}],
    "connections": [{"name": "office", "state": "established", "start": "initiate", "last_error": None}],
    "ike_sas": [SA],
    "counters": {"dataplane": {"esp-packets-in": 10_000, "drop-none": 7, "drop-hub-isolated": 9000}},
}


def found(level="problem", **changes):
    return [one for one in running.look({**STATUS, **changes}) if one.level == level]


def drops(**counters):
    return {"dataplane": {"esp-packets-in": 10_000, **{f"drop-{name}": count for name, count in counters.items()}}}


def test_a_node_that_is_well():
    assert found() == found("note") == []
    assert {one.subject for one in found("ok")} == {"node", "connection", "nat", "drops"}


def test_a_connection_that_failed_says_why():
    one = {**STATUS["connections"][0], "state": "failed", "last_error": "authentication failed: b: not ours"}
    (told,) = found(connections=[one])
    assert told.says == "office: authentication failed: b: not ours"
    assert "rhp initiate office" in told.advice
    (told,) = found(connections=[{**one, "state": "connecting", "last_error": None}])
    assert "rhp log --connection office" in told.advice
    assert found(connections=[{**one, "state": "idle", "last_error": None}]) == []


def test_a_nat_in_front_matters_to_who_waits():
    behind = [{**SA, "nat": {"local": True, "remote": False}}]
    (told,) = found("note", ike_sas=behind)
    assert told.advice is None
    waits = {**STATUS["connections"][0], "start": "wait"}
    (told,) = found("note", ike_sas=behind, connections=[waits])
    assert "UDP ports 500 and 4500" in told.advice


def test_drops_are_a_problem_from_one_in_a_hundred_on():
    assert found(counters=drops(**{"socket-full": 50})) == []
    (told,) = found("note", counters=drops(**{"socket-full": 50}))
    assert "rmem_max" in told.advice
    (told,) = found(counters=drops(**{"socket-full": 500}))
    assert told.says == "500 packets dropped as socket-full, of 10000"
    (told,) = found(counters=drops(**{"event-full": 500}))
    assert told.advice.startswith("look at rhp status")


def test_an_interface_that_is_down_or_too_long():
    down = {**STATUS["interface"], "up": False}
    assert [one.advice for one in found(interface=down)] == ["run ip link set rhp0 up"]
    (told,) = found("note", interface={**STATUS["interface"], "mtu": 9000})
    assert told.subject == "mtu"


def test_every_hub_s_interface_is_looked_at():
    def hubs(**changes):
        interface = {"name": "rhp-shop", "present": True, "up": True, "mtu": 9000, **changes}
        return [*STATUS["hubs"], {"name": "shop", "interface": interface}]

    assert [one.advice for one in found(hubs=hubs(up=False))] == ["run ip link set rhp-shop up"]
    # A tunnel is measured by the interface of its own hub.
    assert found("note", hubs=hubs()) == []
    status = {**STATUS, "hubs": hubs()}
    (told,) = [one for one in running.look(status, {"office": "shop"}) if one.level == "note"]
    assert told.advice.startswith("write 1422 into hubs.shop.interface.mtu")
    assert [one for one in running.look(status, {"office": "not there yet"}) if one.level == "note"] == []


def test_what_was_not_written_and_not_run_is_told():
    def missed(**counted):
        return found("note", counters={**STATUS["counters"], "node": counted})

    assert missed(**{"state-write-failed": 0, "hooks-skipped": 0}) == []
    assert [(one.subject, one.says.partition(",")[0]) for one in missed(**{"state-write-failed": 1})] == [
        ("state", "state.db")
    ]
    (told,) = missed(**{"hooks-skipped": 2})
    assert told.says.startswith("2 hooks were not run")


def test_every_drop_that_has_advice_is_one():
    from rhp._fast.drops import names

    assert {*running._ADVICE, *running._HARMLESS} <= {f"drop-{name}" for name in names()}
