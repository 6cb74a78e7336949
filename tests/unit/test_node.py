"""Which processes are a daemon of the test cluster's, to be stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from ..kubernetes import node

FORKED = """
import os, time
if os.fork():
    print("forked", flush=True)
time.sleep(60)
"""


def test_a_child_that_is_not_yet_another_program_is_not_taken_for_the_daemon() -> None:
    command = [sys.executable, "-c", FORKED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as daemon:
        try:
            assert daemon.stdout
            assert daemon.stdout.readline() == b"forked\n"
            assert node.processes(*command) == [daemon.pid]
        finally:
            os.killpg(daemon.pid, signal.SIGKILL)
