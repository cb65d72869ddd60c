"""The node's process, as its guard begins it."""

from rhp.guard.child import environment


def test_what_a_node_needs_of_the_environment_and_no_more():
    needed = dict.fromkeys(("LANG", "LC_ALL", "TZ", "JOURNAL_STREAM", "PYTHONPATH", "RHP_OWN", "LD_PRELOAD"), "x")
    others = dict.fromkeys(("AWS_SECRET_ACCESS_KEY", "HOME", "NOTIFY_SOCKET", "MY_RHP_OWN", "LANGUISH"), "x")
    assert environment(needed | others) == needed
