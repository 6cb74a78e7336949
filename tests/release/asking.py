"""What JupyterLab and what is behind it answer to a request."""

from __future__ import annotations

from http.client import HTTPConnection

#: The Service of JupyterLab.
JUPYTER = "aer-aer-dask-jupyter"


def ask(address: str, path: str, **headers: str) -> tuple[int, str]:
    """Status and text of an answer; of a web socket the status."""
    connection = HTTPConnection(address, timeout=60)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, "" if answer.status == 101 else answer.read().decode()
    finally:
        connection.close()


def logged_in(address: str, path: str, **headers: str) -> dict[str, str]:
    """The cookies that an answer sets, as a header."""
    connection = HTTPConnection(address, timeout=60)
    try:
        connection.request("GET", path, headers=headers)
        set_by = connection.getresponse().headers.get_all("Set-Cookie") or []
        return {"Cookie": "; ".join(each.split(";")[0] for each in set_by)}
    finally:
        connection.close()


def post(address: str, path: str) -> str:
    connection = HTTPConnection(address, timeout=60)
    try:
        connection.request("POST", path, body="{}")
        return connection.getresponse().read().decode()
    finally:
        connection.close()
