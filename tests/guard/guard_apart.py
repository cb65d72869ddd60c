"""Acts in a process of their own, which may give up what it likes."""

import os


def apart(act):
    """What `act` returns in a process of its own, which ends with that: a number."""
    if not (child := os.fork()):
        try:
            os._exit(act())
        except BaseException:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def refusal(act):
    """The number of the error that an attempt ends with, 0 for none."""
    try:
        act()
    except OSError as error:
        return error.errno
    return 0
