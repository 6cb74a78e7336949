"""When the certificate of a release ends, and who is told of it beforehand.

The certificate is the one that a scheduler shows: its Secret may hold a newer one already, which
processes read when they start. One that is not valid now keeps everybody out, and nothing is shown
then: what a client itself would show says why.
"""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

#: Days before its end from which on it is spoken of, as in the chart's notes.
NOTICE = 90


def warning(comm: Any, release: str, namespace: str | None = None) -> str:
    """What there is to say of the other end's certificate: nothing, unless it ends in 90 days.

    Args:
        comm: Dask's connection to it; one without TLS shows none.
        release: name, for the commands that renew it.
        namespace: of the release, for them too; None leaves it to who runs them.
    """
    shown = comm.extra_info.get("peercert")
    if not shown:
        return ""
    end = ssl.cert_time_to_seconds(shown["notAfter"])
    days = int(end - time.time()) // 86400
    if days >= NOTICE:
        return ""
    return (
        f"The certificate of release {release!r} ends in {days} days, on "
        f"{time.strftime('%Y-%m-%d', time.gmtime(end))}, and then nobody can connect. When no job "
        f"runs: {_renewal(release, namespace)}"
    )


def trouble(security: Any, release: str, namespace: str | None = None) -> str:
    """Why nobody can connect with a certificate: it is not valid yet, or no more; else empty.

    Args:
        security: Dask's, with the certificate and its authority's, as texts or paths of files.
        release: name, for the commands that renew it.
        namespace: of the release, for them too; None leaves it to who runs them.
    """
    now = datetime.now(UTC)
    for pem in filter(None, (security.tls_client_cert, security.tls_ca_file)):
        try:
            start, end = _validity(pem)
        except (ImportError, OSError, ValueError):  # then Dask's own words must do
            continue
        if now >= end:
            cure = _renewal(release, namespace)
            return f"its certificate has ended, on {end:%Y-%m-%d}. To renew it: {cure}"
        if now < start:
            return (
                f"its certificate is valid only from {start:%Y-%m-%d %H:%M} UTC, and here it is "
                f"{now:%Y-%m-%d %H:%M}. Set the clock that is wrong, or wait."
            )
    return ""


def _validity(pem: str) -> tuple[datetime, datetime]:
    """From when until when the certificate of a text, or of a file, is valid."""
    from cryptography import x509  # of the extra aer-dask[kubernetes]

    text = pem if pem.startswith("-----") else Path(pem).read_text()
    found = x509.load_pem_x509_certificate(text.encode())
    return found.not_valid_before_utc, found.not_valid_after_utc


def _renewal(release: str, namespace: str | None) -> str:
    """The commands that make or read another certificate."""
    where = f"--namespace={namespace} " if namespace else ""
    label = f"--selector=app.kubernetes.io/name=aer-dask,app.kubernetes.io/instance={release}"
    return (
        f"where tls.mode is generated, `kubectl {where}delete secret "
        f"--field-selector=type=kubernetes.io/tls {label}` and a `helm upgrade` with your values "
        "make another; else put one into its Secret and "
        f"`kubectl {where}rollout restart deployment {label}`."
    )
