"""What is known of single Linux releases."""

import re

_SPOILED_FROM = (7, 0, 0)
_SPOILED_TO = (7, 1, 4)


def spoils_equal_trains(release: str) -> bool:
    """Whether this kernel (`uname -r`) damages a UDP_SEGMENT train whose datagrams are all of one length.

    Linux 7.0 to 7.1.4 do. A release that is not written like one is taken for a healthy one.
    """
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", release)
    if match is None:
        return False
    return _SPOILED_FROM <= tuple(int(part or 0) for part in match.groups()) <= _SPOILED_TO
