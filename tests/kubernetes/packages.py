"""What the `host` cluster, and the test with a browser, need from Debian."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .common import run, succeeds

# a file of each package, so that what is here already, from whatever source, is left as it is
PACKAGES = {
    "/usr/bin/containerd": "containerd",
    "/usr/sbin/runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/sbin/iptables": "iptables",
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
        if not shutil.which("apt-get"):
            raise SystemExit(f"Install {', '.join(missing)} first: this is no Debian or Ubuntu.")
        quiet = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}}
        run("apt-get", "update", "--quiet=2", **quiet)
        run(
            "apt-get", "install", "--quiet=2", "--no-install-recommends", "--yes", *missing, **quiet
        )


def install_for_cluster() -> None:
    """Install what the `host` cluster needs, and load kernel modules that are not built in."""
    install(PACKAGES)
    if not Path("/proc/sys/net/bridge").exists():
        succeeds("modprobe", "--all", "br_netfilter", "overlay")
