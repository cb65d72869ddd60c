"""Two engines that go on with another configuration: how they are told, and what is there of a connection."""

from ladder_world import config, connection, tunnel

from rhp.ike.changes import compare

NAMES = ("t", "u")
QUIET = {"jitter": 0.0, "dpd_delay": 0.0}


def reload(link, side, *connections, fresh=(), moved=(), **limits):
    """One side goes on with these connections; `fresh` have other secrets, `moved` other host names."""
    before = {one.name: one for one in side.engine._ctx.config.connections}
    changes = {
        one.name: change
        for one in connections
        if one.name in before
        and (change := compare(before[one.name], one, fresh=() if one.name in fresh else None, moved=one.name in moved))
    }
    link.call(side, "reconfigure", config(*connections, **limits), changes)
    return changes


def both_of(name, **more):
    """Connection `name` of a, and its mirror at b, between identities of their own."""
    mirrored = {"local": more["remote"], "remote": more["local"]} if "local" in more else {}
    ours, theirs = (f"a-{name}@x", f"b-{name}@x")
    children = more.pop("children", None)
    mirror = more.pop("mirror", children)
    assert not mirrored
    return (
        connection(ours, theirs, name=name, children=children, **{**QUIET, **more}),
        connection(theirs, ours, name=name, children=mirror, **{**QUIET, **more}),
    )


def of(side, name):
    """What is there of a connection: the SPIs of its IKE SA, and those of its pairs."""
    found = [sa for sa in side.engine.status() if sa.connection == name]
    pairs = sorted(spi for spi, sa in side.sas.items() if sa.connection == name)
    return [(sa.spi_i, sa.spi_r, sa.state) for sa in found], pairs


def own(side):
    return side.engine._ctx.config.connections


def begin(link, name="t"):
    link.a.engine.initiate(name, link.now, link.a.path_to(link.b))
    link.collect(link.a)


def several(*names, **more):
    ours = tuple(tunnel(f"n{i}", (f"10.1.{i}.0/24",), (f"10.2.{i}.0/24",), **more) for i in names)
    theirs = tuple(tunnel(f"n{i}", (f"10.2.{i}.0/24",), (f"10.1.{i}.0/24",), **more) for i in names)
    return {"children": ours, "mirror": theirs}
