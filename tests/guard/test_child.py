"""The node's process, as its guard begins it."""

import os
import site
import subprocess
import sys

from rhp.guard.child import environment

NODES = """
import os, subprocess, sys
from rhp.guard.child import environment
node = "import os, site; print(site.getuserbase(), os.environ.get('HOME'))"
subprocess.run([sys.executable, "-c", node], env=environment(os.environ), check=True)
"""


def test_what_a_node_needs_of_the_environment_and_no_more():
    names = ("LANG", "LC_ALL", "TZ", "JOURNAL_STREAM", "PYTHONPATH", "RHP_OWN", "LD_PRELOAD")
    # What sinks of events go by, which send them elsewhere.
    names += ("SSL_CERT_FILE", "SSL_CERT_DIR", "https_proxy", "HTTPS_PROXY", "http_proxy", "no_proxy", "ALL_PROXY")
    others = ("AWS_SECRET_ACCESS_KEY", "HOME", "NOTIFY_SOCKET", "MY_RHP_OWN", "LANGUISH", "SSL_CERT_KEY", "my_proxy")
    found = environment(dict.fromkeys((*names, *others), "x"))
    assert found == dict.fromkeys(names, "x") | {"PYTHONUSERBASE": site.getuserbase()}


def test_what_is_installed_for_the_user_is_found_without_the_home_that_it_goes_by(tmp_path):
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONUSERBASE"} | {"HOME": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", NODES], env=ours, capture_output=True, text=True, check=True)
    assert found.stdout.split() == [f"{tmp_path}/.local", "None"]
