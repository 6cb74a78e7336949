"""What the `host` cluster, and the tests with a browser and with Prometheus, need from Debian."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from .common import CACHE, run, succeeds

# a file of each package, so that what is here already, from whatever source, is left as it is
PACKAGES = {
    "/usr/bin/containerd": "containerd",
    "/usr/sbin/runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/sbin/iptables": "iptables",
    "/usr/sbin/ipset": "ipset",
    "/usr/sbin/ip": "iproute2",
    "/usr/sbin/sysctl": "procps",
    "/usr/bin/openssl": "openssl",
    "/bin/busybox": "busybox-static",
    "/usr/sbin/modprobe": "kmod",
}
BROWSER = {"/usr/bin/chromium": "chromium"}


def install(packages: dict[str, str]) -> None:
    """Install those of the packages that are missing."""
    missing = [package for path, package in packages.items() if not Path(path).exists()]
    if missing:
        apt_get(*missing, command="install", options=["--no-install-recommends", "--yes"])


def prometheus() -> Path:
    """Debian's Prometheus, whose package is not installed: that would start it as a service."""
    folder = CACHE / "prometheus"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            apt_get("prometheus", command="download", options=["--option=APT::Sandbox::User=root"],
                    folder=scratch)  # fmt: skip
            (archive,) = Path(scratch).glob("*.deb")
            run("dpkg-deb", "--extract", archive, Path(scratch) / "unpacked")
            (Path(scratch) / "unpacked").rename(folder)
    return folder / "usr" / "bin" / "prometheus"


def apt_get(*packages: str, command: str, options: list[str], folder: str | None = None) -> None:
    """Run a command of apt-get on packages, with the lists of today."""
    if not shutil.which("apt-get"):
        raise SystemExit(f"Install {', '.join(packages)} first: this is no Debian or Ubuntu.")
    quiet = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "cwd": folder}
    run("apt-get", "update", "--quiet=2", **quiet)
    run("apt-get", command, "--quiet=2", *options, *packages, **quiet)


def install_for_cluster() -> None:
    """Install what the `host` cluster needs, and load kernel modules that are not built in."""
    install(PACKAGES)
    if not Path("/proc/sys/net/bridge").exists():
        succeeds("modprobe", "--all", "br_netfilter", "overlay")
