"""What an intruder tries; runs in a pod that has the image and what is on standard input.

    python -c "$(cat intruder.py)" scan|tries|flood < words.json

`scan` finds which ports of addresses are open, of those named or of all. `tries` knocks at each in
every way it knows, as a Dask client, by HTTP, by web socket and with raw bytes, and tells what each
led to. `flood` sends broken frames and leaves connections half open.
"""

import asyncio
import importlib
import json
import re
import selectors
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack, suppress

import dask
from distributed.comm.registry import get_backend
from distributed.dashboard import scheduler as scheduler_pages
from distributed.dashboard import worker as worker_pages
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.httputil import HTTPInputError
from tornado.websocket import websocket_connect

#: Seconds in which an open port takes a connection; in which who listens there greets back, which
#: some never do; and in which those answer who speak the language. Milliseconds would do, unless
#: the machine stands still.
OPENING, GREETING, PATIENCE = 5, 10, 30
AT_ONCE = 200
#: Nobody answers, or in another protocol; Tornado says ValueError to who speaks before TLS begins.
REFUSALS = (OSError, EOFError, HTTPClientError, HTTPInputError, ValueError)
#: Of JupyterLab; what Dask serves is asked of Dask.
JUPYTER_PATHS = [
    "/", "/lab", "/tree", "/login", "/logout", "/api", "/api/status", "/api/me", "/api/contents",
    "/api/kernels", "/api/sessions", "/api/terminals", "/api/kernelspecs", "/api/config/x",
    "/files/examples/welcome.md", "/view/examples/welcome.md", "/nbconvert/html/examples/x.ipynb",
    "/lab/api/settings", "/lab/api/workspaces", "/metrics", "/proxy/8787/status",
    "/proxy/scheduler:8787/status", "/dask/clusters", "/dask/dashboard-check/x", "/static/x",
]  # fmt: skip
#: That change something or run code.
POSTS = ["/api/kernels", "/api/sessions", "/api/terminals", "/api/shutdown", "/api/contents",
         "/api/v1/retire_workers", "/api/v1/adaptive_target", "/dask/clusters"]  # fmt: skip
SOCKETS = [
    "/eventstream", "/status/ws", "/system/ws", "/proxy/8787/status/ws",
    "/api/events/subscribe", "/api/kernels/1/channels", "/terminals/websocket/1",
]  # fmt: skip
#: To be taken for the pod itself, or for a probe.
DISGUISES = [
    {},
    {"X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1", "Forwarded": "for=127.0.0.1"},
    {"Host": "localhost", "Origin": "http://localhost", "User-Agent": "kube-probe/1.35"},
]
GUESSES = ["", "aer", "dask", "token", "password", "admin", "None", "null", "0" * 32, "*", "\x80"]
RAW = {
    "silence": b"",
    "a line": b"help\r\n",
    "zeros": bytes(1024),
    "a Dask frame": (2).to_bytes(8, "little") + (5).to_bytes(8, "little") * 2 + b"\x85" * 10,
    "a huge Dask frame": (2**62).to_bytes(8, "little"),
    "half a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP 0.9": b"GET /status\r\n\r\n",
    "an absolute path": b"GET http://localhost/status HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a crooked path": b"GET /health/../status HTTP/1.1\r\nHost: x\r\n\r\n",
    "a doubled slash": b"GET //status HTTP/1.1\r\nHost: x\r\n\r\n",
    "two requests": b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
                    b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n",
    "a hidden request": b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 46\r\n\r\n"
                        b"GET /json/identity.json HTTP/1.1\r\nHost: x\r\n\r\n",
}  # fmt: skip

Try = tuple[str, int, str, str, bool]  # address, port, way, what came of it, whether it led in


async def main(task: str, words: dict) -> object:
    """What a task found, for JSON."""
    match task:
        case "scan":
            return {
                address: open_ports(address, ports or range(1, 65536))
                for address, ports in words["ports"].items()
            }
        case "tries":
            contexts = {name: context(pem) for name, pem in words["certificates"].items()}
            return [
                tried
                for address, ports in words["ports"].items()
                for port in ports
                for tried in await tries(address, port, contexts, words["tokens"])
            ]
        case "flood":
            return await flood(
                words["address"], words["ports"], words["frames"], words["half_open"]
            )


# --- knocking ---


async def each(doing: Callable, things: Iterable, at_once: int = AT_ONCE) -> list:
    """What becomes of each thing, a bounded number at a time."""
    free = asyncio.Semaphore(at_once)

    async def one(thing: object) -> object:
        async with free:
            return await doing(thing)

    return await asyncio.gather(*map(one, things))


def open_ports(address: str, ports: Iterable[int]) -> list[int]:
    """The TCP ports of these at which somebody listens."""
    ports = list(ports)
    return [port for i in range(0, len(ports), AT_ONCE)
            for port in answering(address, ports[i : i + AT_ONCE])]  # fmt: skip


def answering(address: str, ports: list[int]) -> list[int]:
    """Those that answer; by hand, because a task of asyncio for each port takes minutes."""
    end = time.monotonic() + OPENING
    with ExitStack() as stack:
        waiting = stack.enter_context(selectors.DefaultSelector())
        for port in ports:
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex((address, port))
            waiting.register(caller, selectors.EVENT_WRITE, port)
        found = []
        late = False
        while waiting.get_map() and not late:
            left = end - time.monotonic()
            late = left < 0  # it looks once more all the same: this process may have stood still
            for key, _ in waiting.select(max(0, left)):
                if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    found.append(key.data)
                waiting.unregister(key.fileobj)
    return sorted(found)


async def tries(address: str, port: int, contexts: dict, tokens: list[str]) -> list[Try]:
    """Every way at one port."""
    ways: list[tuple[str, Awaitable[tuple[str, bool]]]] = [
        ("Dask without TLS", as_dask(address, port, None)),
        *((f"Dask with {name}", as_dask(address, port, one)) for name, one in contexts.items()),
        *((f"bytes: {name}", raw(address, port, content)) for name, content in RAW.items()),
        *((f"socket {path}", web_socket(address, port, path)) for path in SOCKETS),
    ]
    for scheme in ("http", "https"):
        if await speaks_http(scheme, address, port):
            ways += http_ways(f"{scheme}://{address}:{port}", tokens)
            break  # it would wait for the rest of a TLS greeting

    async def one(way: tuple) -> Try:
        name, attempt = way
        try:
            said, led_in = await attempt
        except REFUSALS as error:
            said, led_in = f"{type(error).__name__}: {error}"[:100], False
        return address, port, name, said, led_in

    return await each(one, ways, at_once=20)


def context(pem: str) -> ssl.SSLContext:
    """TLS with a certificate and key, or with none; whoever answers is fine."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if pem:
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(pem)
            file.flush()
            made.load_cert_chain(file.name)
    return made


async def as_dask(address: str, port: int, tls: ssl.SSLContext | None) -> tuple[str, bool]:
    """Greet as Dask does, and ask who it is."""
    connector = get_backend("tls" if tls else "tcp").get_connector()
    arguments = {"ssl_context": tls, "require_encryption": True} if tls else {}
    async with asyncio.timeout(GREETING):
        comm = await connector.connect(f"{address}:{port}", deserialize=False, **arguments)
        try:
            await comm.write(comm.handshake_info())
            await comm.read()
            await comm.write({"op": "identity", "reply": True})
            return str(await comm.read())[:100], True
        finally:
            comm.abort()


async def raw(address: str, port: int, content: bytes) -> tuple[str, bool]:
    """Send bytes and read what comes until the end, or until nothing comes."""
    reader, writer = await asyncio.open_connection(address, port)
    answer = b""
    writer.write(content)
    with suppress(OSError):
        async with asyncio.timeout(2):
            while more := await reader.read(65536):
                answer += more
    writer.close()
    statuses = re.findall(rb"HTTP/1\.[01] (\d{3})", answer)
    if statuses:
        # the one who asks for /health gets that
        answers = len([s for s in statuses if s < b"300"]) - content.startswith(b"GET /health HTTP")
        return f"HTTP {b' '.join(statuses).decode()}", answers > 0
    return repr(answer[:40]), answer[:1] not in (b"", b"\x15")  # 0x15: TLS says that it does not


async def web_socket(address: str, port: int, path: str) -> tuple[str, bool]:
    """Open a web socket."""
    async with asyncio.timeout(PATIENCE):
        connection = await websocket_connect(
            f"ws://{address}:{port}{path}", subprotocols=["bokeh", "x"]
        )
    connection.close()
    return "open", True


async def speaks_http(scheme: str, address: str, port: int) -> bool:
    """Whether anything that is HTTP comes back."""
    try:
        await fetch(f"{scheme}://{address}:{port}/", "GET", {}, GREETING)
    except REFUSALS:
        return False
    return True


def http_ways(url: str, tokens: list[str]) -> list[tuple[str, Awaitable[tuple[str, bool]]]]:
    """Every page, in disguise and with tokens that are wrong."""
    pages = sorted({*dask_paths(), *JUPYTER_PATHS})
    key = [{"Authorization": f"{kind} {guess}"} for guess in [*GUESSES, *tokens]
           for kind in ("Bearer", "token")]  # fmt: skip
    guessed = ["/status", "/metrics", "/json/identity.json", "/api/contents"]
    return [
        *((f"GET {path}", page(url + path, "GET", headers))
          for path in pages for headers in DISGUISES),
        *((f"GET {path} with a token", page(url + path, "GET", headers))
          for path in guessed for headers in key),
        *((f"GET {path}?token", page(f"{url}{path}?token={guess}", "GET", {}))
          for path in guessed for guess in tokens),
        *((f"POST {path}", page(url + path, "POST", {})) for path in POSTS),
        *((f"OPTIONS {path}", page(url + path, "OPTIONS", {})) for path in ("/status", "/json")),
    ]  # fmt: skip


def dask_paths() -> list[str]:
    """Every page that Dask's scheduler and workers serve."""
    modules = {
        name
        for who in ("scheduler", "worker")
        for name in dask.config.get(f"distributed.{who}.http.routes")
    }
    routes = [route[0] for name in modules for route in importlib.import_module(name).routes]
    known = [re.sub(r"\(.*?\)", "1", route).replace("\\", "") for route in routes]
    pages = [*scheduler_pages.applications, *worker_pages.applications]
    return [f"/{path.lstrip('/')}" for path in [*known, *pages, "statics/js/x", "sitemap.json"]]


async def page(url: str, method: str, headers: dict) -> tuple[str, bool]:
    """The status of a page, and whether it is more than a refusal or the way to a login."""
    try:
        answer = await fetch(url, method, headers)
    except HTTPClientError as error:
        answer = error.response
        if answer is None:
            raise
    to_login = "/login" in answer.headers.get("Location", "")
    return f"{answer.code} {answer.reason}", answer.code < 400 and not to_login


async def fetch(url: str, method: str, headers: dict, patience: float = PATIENCE):
    """One request, whoever answers."""
    body = "{}" if method == "POST" else None
    request = HTTPRequest(
        url, method=method, headers=headers, body=body, follow_redirects=False,
        validate_cert=False, connect_timeout=patience, request_timeout=patience,
    )  # fmt: skip
    return await AsyncHTTPClient().fetch(request, raise_error=False)


# --- doing harm ---


async def flood(address: str, ports: list[int], frames: int, half_open: int) -> dict[str, int]:
    """Send frames that are none, while connections stand half open; say how many were answered."""
    held = [await half(address, ports[i % len(ports)], i) for i in range(half_open)]
    contents = [content for content in RAW.values() if not content.startswith(b"GET /health")]

    async def broken(number: int) -> bool:
        noise = number.to_bytes(4, "big") * (number % 50)
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection(address, ports[number % len(ports)])
        except OSError:
            return False
        writer.write(contents[number % len(contents)] + noise)
        if number % 4 == 0:  # the others leave at once
            with suppress(OSError):
                async with asyncio.timeout(0.2):
                    await reader.read(100)
        writer.close()
        return True

    sent = await each(broken, range(frames), at_once=50)
    for writer in held:
        writer.close()
    return {"frames": len(sent), "arrived": sum(sent), "half open": len(held)}


async def half(address: str, port: int, number: int) -> asyncio.StreamWriter:
    """A connection whose other end waits for the rest."""
    async with asyncio.timeout(PATIENCE):
        _, writer = await asyncio.open_connection(address, port)
    writer.write(b"" if number % 2 else RAW["half a TLS hello"])
    return writer


if __name__ == "__main__":
    AsyncHTTPClient.configure(None, max_clients=20)
    print(json.dumps(asyncio.run(main(sys.argv[1], json.load(sys.stdin)))))
