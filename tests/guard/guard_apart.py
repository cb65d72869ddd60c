"""Acts in a process of their own, which may give up what it likes."""

import os
import warnings


def fork():
    """As `os.fork`. Python 3.12 warns where threads run; the children here do next to nothing, and that at once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        return os.fork()


def apart(act):
    """What `act` returns in a process of its own, which ends with that: a number."""
    if not (child := fork()):
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
