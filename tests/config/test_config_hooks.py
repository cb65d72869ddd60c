"""`[[hooks]]`: programs of the administrator, and every way to write them wrongly."""

import pytest

from rhp.config.errors import ConfigError
from rhp.config.loading import load
from rhp.guard.policy import HookPolicy

REST = """
[connections.office]
psk_file = "office.psk"
local.id = "a.example.org"
remote.id = "b.example.org"
"""


def hook(**keys):
    return "[[hooks]]\n" + "\n".join(f"{key} = {value}" for key, value in keys.items()) + REST


def mistakes(written, now, text):
    with pytest.raises(ConfigError) as caught:
        load(written(text), now)
    return [f"{one.where}: {one.message}" for one in caught.value.problems if not one.warning]


def test_the_guard_knows_the_programs_and_the_node_what_happens(written, now):
    text = hook(on='["tunnel-up", "node-up"]', command='["/bin/echo", "a b"]', timeout=3, user='"daemon"')
    loaded = load(written(text), now)
    assert loaded.policy.hooks == (HookPolicy(("tunnel-up", "node-up"), ("/bin/echo", "a b"), 3.0, False, "daemon"),)
    assert loaded.settings.hooked == ("tunnel-up", "node-up")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"command": '"/bin/true"'}, "hooks[0].on: it would never run; write node-up, node-down"),
        ({"on": '"tunnel-pu"', "command": '"/bin/true"'}, '"tunnel-pu" never happens; write tunnel-up'),
        ({"on": '"node-up"'}, "hooks[0].command: it is missing"),
        ({"on": '"node-up"', "command": '"true"'}, '"true" may be any program; write its whole path'),
        ({"on": '"node-up"', "command": '"/no/such"'}, "/no/such cannot be run: No such file or directory"),
        ({"on": '"node-up"', "command": '"/etc/passwd"'}, "run chmod +x /etc/passwd"),
        ({"on": '"node-up"', "command": '"/bin"'}, "/bin cannot be run"),
        ({"on": '"node-up"', "command": '"/bin/true"', "user": '"nobody-at-all"'}, 'there is no user "nobody-at-all"'),
        ({"on": '"node-up"', "command": '"/bin/true"', "user": '"root"'}, "hooks[0].user"),
        ({"on": '"node-up"', "command": '"/bin/true"', "timeout": 0}, "it would be ended as it begins"),
        (
            {"on": '"node-up"', "command": '"/bin/true"', "user": '"daemon"', "privileged": "true"},
            "a privileged hook runs as root; leave out user, or privileged",
        ),
        ({"on": '"node-up"', "command": '"/bin/true"', "comand": '"x"'}, "comand"),
    ],
)
def test_a_mistake_is_told_with_what_to_write(written, now, keys, told):
    assert any(told in one for one in mistakes(written, now, hook(**keys)))


def test_a_privileged_program_may_be_changed_by_root_alone(written, now, folder):
    program = folder / "up"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o775)
    found = mistakes(written, now, hook(on='"node-up"', command=f'"{program}"', privileged="true"))
    assert any(f"others than root can change it; run chown root {program}" in one for one in found)
    program.chmod(0o755)
    assert (
        load(written(hook(on='"node-up"', command=f'"{program}"', privileged="true")), now).policy.hooks[0].privileged
    )


def test_there_may_be_many_and_not_any_number(written, now):
    one = '[[hooks]]\non = "node-up"\ncommand = "/bin/true"\n'
    assert len(load(written(one * 32 + REST), now).policy.hooks) == 32
    assert any("write at most 32" in told for told in mistakes(written, now, one * 33 + REST))
