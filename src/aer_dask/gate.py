"""Who may ask the HTTP ports of scheduler and workers: ``--preload aer_dask.gate``.

    AER_DASK_HTTP_TOKEN_FILE=/etc/token dask scheduler --preload aer_dask.gate

Dask's dashboard, metrics and pages of logs know no login. Under this preload they are for who shows
the token of that file, as ``Authorization: Bearer <token>``; for who comes from the same machine or
pod by a local name, as ``kubectl port-forward`` does; and ``/health`` is for probes. All others get
status 403, a page of another site in the browser of who forwards the port among them.

It takes effect on import: the port is not open yet, and an error ends the process, while Dask would
only log one of a preload's ``dask_setup`` and serve everybody.
"""

from __future__ import annotations

import hmac
import os
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import distributed.node
from distributed.http.routing import RoutingApplication
from tornado import web
from tornado.httputil import HTTPServerRequest

#: The environment variable with the path of the token's file, which is read for each request: the
#: token may change meanwhile.
TOKEN_FILE = "AER_DASK_HTTP_TOKEN_FILE"  # noqa: S105
#: No more of 127.0.0.0/8: a service mesh hands on what comes from other pods from 127.0.0.6.
_LOOPBACK = {"127.0.0.1", "::1"}
#: How a browser there calls it. Another name may be one that a stranger has pointed at 127.0.0.1.
_LOCAL_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)
#: Characters of a token, of which fewer could be guessed.
_LEAST = 16
_REFUSAL = (
    "This is not for everybody. Send the token of the release's HTTP ports, as in\n"
    '  curl --header "Authorization: Bearer $TOKEN" ...\n'
    "or come by kubectl port-forward, to http://localhost (docs/security.md).\n"
)


def token() -> str:
    """The token in use.

    Raises:
        RuntimeError: if there is none: the variable is not set, the file not there or empty, or
            what it holds is shorter than 16 characters or not of ASCII.
    """
    path = os.environ.get(TOKEN_FILE, "")
    try:
        found = Path(path).read_bytes().strip() if path else b""
    except OSError as error:
        raise RuntimeError(f"${TOKEN_FILE} should be the path of a file: {error}.") from error
    if len(found) < _LEAST or not found.isascii():
        raise RuntimeError(
            f"${TOKEN_FILE} should be the path of a file with a token of at least {_LEAST} ASCII "
            f"characters, not {path!r}."
        )
    return found.decode()


class GatedApplication(RoutingApplication):
    """Dask's HTTP application, and Bokeh's in it, web sockets included, for those who may."""

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Called by Tornado for every request, before anything of it is read but its headers."""
        if _may(request):
            return super().find_handler(request, **kwargs)
        return self.get_handler_delegate(request, _Refused)


def _may(request: HTTPServerRequest) -> bool:
    if request.path == "/health":  # a body would be kept in memory
        return not {"Content-Length", "Transfer-Encoding"} & set(request.headers)
    return (request.remote_ip in _LOOPBACK and _is_local(request)) or _has_token(request)


def _is_local(request: HTTPServerRequest) -> bool:
    """Whether who comes by the loopback is no page of another site, in a browser there."""
    host = request.headers.get("Host", "")
    origin = request.headers.get("Origin")  # left out by programs, and by who types an address
    return bool(_LOCAL_HOST.fullmatch(host)) and origin in (None, f"http://{host}")


def _has_token(request: HTTPServerRequest) -> bool:
    try:
        wanted = token()
    except RuntimeError:  # the file has gone, or holds none
        return False
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    same = hmac.compare_digest(shown.strip().encode(), wanted.encode())
    return same and scheme.lower() == "bearer"


@web.stream_request_body  # or its body would be taken in first
class _Refused(web.RequestHandler):
    def prepare(self) -> None:
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(_REFUSAL)


token()
if getattr(distributed.node, "RoutingApplication", None) is not RoutingApplication:
    raise RuntimeError(
        f"aer_dask.gate does not know how distributed {version('distributed')} serves HTTP, and so "
        "cannot guard it. Take the version that aer-dask asks for."
    )
distributed.node.RoutingApplication = GatedApplication  # type: ignore[attr-defined, misc]
