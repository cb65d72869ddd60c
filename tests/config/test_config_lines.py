"""Finding the line of a key in TOML text."""

import pytest

from rhp.config.lines import key_lines, line_of

TEXT = """\
# a comment = 1
[node] # with a comment
port = 500

[connections."my office"]
remote_addrs = [
    "192.0.2.1", # ] not the end
    "192.0.2.2",
]
text = '''
[node]
port = 1
'''
other = "a \\" quote # [ no comment"
local.id = "a"
'local'.certs = ["x"]
local . key = "k"

[[hub.static]]
mac = "02:00:00:00:00:01"
inline = { a = 1, b = [1, 2] }
last = 1
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("node",), 2),
        (("node", "port"), 3),
        (("connections",), 5),
        (("connections", "my office"), 5),
        (("connections", "my office", "remote_addrs"), 6),
        (("connections", "my office", "remote_addrs", 1), 6),
        (("connections", "my office", "text"), 10),
        (("connections", "my office", "other"), 14),
        (("connections", "my office", "local"), 15),
        (("connections", "my office", "local", "id"), 15),
        (("connections", "my office", "local", "certs"), 16),
        (("connections", "my office", "local", "key"), 17),
        (("connections", "my office", "local", "nothing"), 15),
        (("hub", "static", 0, "mac"), 19),
        (("hub", "static", "mac"), 20),
        (("hub", "static", "inline", "a"), 21),
        (("hub", "static", "last"), 22),
        (("nowhere",), None),
    ],
)
def test_a_key_has_a_line(path, line):
    assert line_of(key_lines(TEXT), path) == line


@pytest.mark.parametrize("text", ["a = [", 'a = "', "a = '''", "[", "=", "a", "a = {", '"', "[[x"])
def test_text_that_breaks_off_ends(text):
    key_lines(text)
