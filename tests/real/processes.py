"""Processes of the dask command that a test starts and ends by itself."""

import os
import socket
import subprocess
import sys


def dask(*arguments, **environment):
    """A process of the dask command."""
    command = [sys.executable, "-m", "dask", *arguments]
    return subprocess.Popen(command, env=os.environ | environment)


def free_port():
    """A port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
