"""Whether a program printed what the guide shows: the same words, whatever is measured or drawn by lot may differ."""

import re

CHANGES = re.compile(
    r"\d+(\.\d+)?(%|ms|s|m|h|d|B|KB|MB|GB|KiB|MiB|GiB|k|M|G)?"  # A number with its unit.
    r"|\d{4}-\d\d-\d\d(T[\d:.+Z-]+)?|\d\d:\d\d(:\d\d)?(\.\d+)?Z?"  # A time.
    r"|(0x)?[0-9a-f]{8,}"  # An SPI.
    r"|([0-9a-f]{2}:){5}[0-9a-f]{2}"  # A MAC address.
)
EDGES = "(),;="


def missing(shows, printed):
    """The first line of the guide that was not printed after the ones before it; None when all were."""
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    for wanted in shows:
        pattern = re.compile(_pattern(wanted))
        at = next((number for number, line in enumerate(lines) if pattern.fullmatch(line)), None)
        if at is None:
            return wanted
        del lines[: at + 1]
    return None


def _pattern(wanted):
    return " ".join(_word(word) for word in wanted.split()).replace(" .*", ".*").replace(".* ", ".*")


def _word(word):
    if word in ("...", ".."):
        return ".*"
    name, equals, value = word.partition("=")
    if equals and name.isidentifier():
        return f"{re.escape(name)}={_word(value)}"
    inner = word.strip(EDGES)
    if not CHANGES.fullmatch(inner):
        return re.escape(word)
    before, after = word.split(inner, 1)
    return f"{re.escape(before)}[0-9a-fx.:TZ+-]+\\w*%?{re.escape(after)}"
