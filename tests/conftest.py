"""What holds for every test."""

import signal

from hypothesis import HealthCheck, settings

# Who ends the tests by SIGTERM, as a service manager does, wants namespaces, programs and mounts gone as well.
signal.signal(signal.SIGTERM, signal.default_int_handler)

# A shell that starts the tests in the background lets them ignore SIGINT, and every program that they start inherits
# that; but some tests interrupt a program as a person does.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, and is no property of what is tried.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
