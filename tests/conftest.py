"""What holds for every test."""

import signal

# A shell that starts the tests in the background lets them ignore SIGINT, and every program that they start inherits
# that; but some tests interrupt a program as a person does.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
