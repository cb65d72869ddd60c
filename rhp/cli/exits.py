"""What the commands' exit codes mean. `docs/cli.md` is the page."""

OK = 0
"""Done, or shown, and all is well."""
FAILED = 1
"""The node refused it, or it did not come about."""
USAGE = 2
"""The command line or the configuration is wrong; nothing was done."""
NOT_RUNNING = 3
"""No node answers where the configuration says."""
UNHEALTHY = 4
"""Done, and what was found is not as it should be: a tunnel that is wanted and down, a finding of the doctor."""
