"""A real S3 server (versitygw) over a folder, which a test may stop, kill and start again."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from aer_dask.store import Store

from .kubernetes.build import program
from .real.processes import free_port
from .waiting import wait_until

BUCKET = "results"


class S3Server:
    """A server with one bucket and credentials of its own.

    Args:
        folder: where objects are.
        host: the address at which it listens.
        inside: what its command is put behind, to run where that address is; it must not fork.
    """

    def __init__(
        self, folder: Path, host: str = "127.0.0.1", inside: Sequence[object] = ()
    ) -> None:
        self._host, self._port, self._folder, self._inside = host, free_port(), folder, inside
        self._key, self._secret = secrets.token_hex(8), secrets.token_hex(16)
        (folder / "data" / BUCKET).mkdir(parents=True)
        (folder / "about").mkdir()
        self.start()

    def start(self) -> None:
        """Start it, where the former one was."""
        address = f"{self._host}:{self._port}"
        words = [*self._inside, program("versitygw"), "--port", address, "--quiet",
                 "posix", "--sidecar", self._folder / "about", self._folder / "data"]  # fmt: skip
        keys = {"ROOT_ACCESS_KEY": self._key, "ROOT_SECRET_KEY": self._secret}
        self._process = subprocess.Popen(
            [*map(str, words)], env=os.environ | keys, stdout=subprocess.DEVNULL
        )
        wait_until(self._answers, "the S3 server answers")

    def store(self, bucket: str = BUCKET, **options: str) -> Store:
        """A store in the bucket, or with other credentials."""
        keys = {"key": self._key, "secret": self._secret, "endpoint_url": self._url}
        return Store(f"s3://{bucket}/some/prefix", **{**keys, **options})

    def variables(self) -> dict[str, str]:
        """With what AWS's libraries find it, and have its credentials."""
        return {
            "AWS_ACCESS_KEY_ID": self._key,
            "AWS_SECRET_ACCESS_KEY": self._secret,
            "AWS_ENDPOINT_URL": self._url,
        }

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Have it neither answer nor refuse."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of :meth:`pause`."""
        self._process.send_signal(signal.SIGCONT)

    @property
    def _url(self) -> str:
        return f"http://{self._host}:{self._port}"

    def _answers(self) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex((self._host, self._port)) == 0
