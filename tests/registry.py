"""A real registry of images and charts (distribution): TLS, and a user with a password."""

from __future__ import annotations

import base64
import ctypes
import json
import os
import secrets
import ssl
import subprocess
import urllib.request
from pathlib import Path

import pytest

from images import build as images
from scripts import dist

from .certificates import Certificate
from .chart.rendering import helm
from .kubernetes.build import program
from .real.processes import free_port
from .waiting import wait_until

USER = "publisher"


class Registry:
    """A registry on this machine, for those who trust its certificate and log in.

    Attributes:
        host: its name, as that of an image begins.
        certificate: what clients have to trust.

    Args:
        folder: where all of it is.
        address: the one of this machine at which it listens.
    """

    def __init__(self, folder: Path, address: str = "localhost") -> None:
        folder.mkdir()
        self.host = f"{address}:{free_port()}"
        self._password = secrets.token_hex(8)
        self._folder, self.certificate = folder, folder / "tls.crt"
        own = Certificate("registry", host=address)
        self.certificate.write_text(own.pem)
        (folder / "tls.key").write_text(own.key_pem)
        (folder / "users").write_text(f"{USER}:{bcrypt(self._password)}\n")
        config = folder / "config.json"
        config.write_text(json.dumps(self._config()))
        self._process = subprocess.Popen(
            [program("registry"), "serve", config], stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("w"),
        )  # fmt: skip
        wait_until(self._answers, "the registry answers")

    def clients(self, folder: Path) -> dict[str, str]:
        """The environment of clients that trust it, and keep what they keep in a folder."""
        kept = {name: str(folder / name) for name in ("HELM_CONFIG_HOME", "HELM_CACHE_HOME")}
        docker = folder / "docker"
        return kept | {
            "SSL_CERT_FILE": str(self.certificate),
            "DOCKER_CONFIG": str(docker),
            "REGISTRY_AUTH_FILE": str(docker / "config.json"),  # podman's and buildah's name for it
        }

    def used_by_process(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Have this process' clients be such ones, and note what they push; the file of that."""
        monkeypatch.setenv("PATH", str(Path(helm()).parent), prepend=os.pathsep)
        for name, value in self.clients(folder).items():
            monkeypatch.setenv(name, value)
        for module in (dist, images):
            monkeypatch.setattr(module, "PUSHED", folder / "build" / "pushed")
        return folder / "build" / "pushed"

    def login(self, folder: Path) -> Path:
        """Write what `docker login` writes for such clients; the file."""
        config = Path(self.clients(folder)["REGISTRY_AUTH_FILE"])
        config.parent.mkdir()
        config.write_text(json.dumps({"auths": {self.host: {"auth": self._basic}}}))
        return config

    def digest(self, repository: str, tag: str) -> str:
        """The digest by which the registry knows a tag."""
        kinds = "application/vnd.oci.image.manifest.v1+json"
        return self._get(f"{repository}/manifests/{tag}", kinds).headers["Docker-Content-Digest"]

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    @property
    def _basic(self) -> str:
        return base64.b64encode(f"{USER}:{self._password}".encode()).decode()

    def _config(self) -> dict:
        return {
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(self._folder / "data")}},
            "http": {
                "addr": self.host,
                "tls": {
                    "certificate": str(self.certificate),
                    "key": str(self._folder / "tls.key"),
                },
            },
            "auth": {"htpasswd": {"realm": "registry", "path": str(self._folder / "users")}},
        }

    def _get(self, path: str, accept: str = "*/*"):
        request = urllib.request.Request(
            f"https://{self.host}/v2/{path}",
            headers={"Accept": accept, "Authorization": f"Basic {self._basic}"},
        )
        trusted = ssl.create_default_context(cafile=self.certificate)
        return urllib.request.urlopen(request, context=trusted, timeout=10)

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            return self._get("").status == 200
        except OSError:
            return False


def bcrypt(password: str) -> str:
    """A hash that htpasswd's readers take, by the system's libcrypt: Python has none any more."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    salt = f"$2b$04$abcdefghijklmnopqrstu{secrets.choice('.Oeu')}"
    return crypt(password.encode(), salt.encode()).decode()
