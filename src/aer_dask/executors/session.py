"""What is known of one Dask client or cluster, for all jobs that use it.

A session checks the workers once, keeps options and noise models at the scheduler for as long as a
job needs them, and outlives the scheduler: where the user's client has lost it, it takes over with
a client of its own. Dask's client cannot be trusted to come back: after its first failure
``distributed.comm.connect`` gives all of its remaining time to one attempt, and a connection to a
Kubernetes Service whose old pod is gone disappears into nothing.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, proxy, ref

import cloudpickle
from distributed import Client
from distributed.comm.addressing import get_address_host_port
from distributed.core import Status
from distributed.deploy.cluster import Cluster

from .. import versions
from ..errors import ExecutorError
from ..worker.preload import PLUGIN_NAME, AerPlugin
from ..worker.tasks import running
from . import shared_store
from .base import LostWorker

logger = logging.getLogger(__name__)

#: Seconds that the user's client has to find its scheduler again by itself.
GRACE = 5.0
#: Seconds that a scheduler may stay away, or be there and silent.
PATIENCE = 300.0
#: Seconds for a sign of life of the scheduler, and between two of them.
_SIGN, _BETWEEN_SIGNS = 5.0, 10.0
#: Seconds for one attempt to connect: to reach the port, and to become a client.
_REACH, _CONNECT = 1.0, 5.0
#: Options and noise models kept beyond their jobs: the next run of an optimiser finds its own.
_KEPT = 8
#: Lost workers that are remembered, of all jobs.
_NOTED = 1000
#: Seconds between two looks, and between two whether the user's client or cluster is still open.
_POLL, _WATCH = 0.1, 0.5


class Session:
    """One connection to a Dask scheduler, and its successors.

    Args:
        source: the Client or Cluster that the user gave as executor. Not kept alive.
    """

    def __init__(self, source: Client | Cluster) -> None:
        self._source = ref(source)
        self._own: Client | None = None
        if isinstance(source, Cluster):
            # not cluster.get_client(), which would become this process's default client
            security = getattr(source, "security", None)
            self._own = _new_client(self._source, source.scheduler_address, security=security)
        client: Any = self._own or source
        self._address: str = client.scheduler.address
        self._security = client.security
        self._checked: frozenset[str] = frozenset()
        self._prepared: str | None = None
        self._jobs: Counter[str] = Counter()
        self._recent: deque[str] = deque()
        #: workers that have gone with tasks of ours, the last ones
        self.lost_workers: deque[LostWorker] = deque(maxlen=_NOTED)
        self._lock = threading.RLock()
        #: for what jobs need, apart from the other one: whoever has that may wait for a worker
        self._books = threading.Lock()
        self._taking_over = threading.Lock()
        #: when it was asked last whether the scheduler lives, and since when it has been silent
        self._asked = 0.0
        self._silent: float | None = None

    @property
    def client(self) -> Client:
        """The user's client, or the one that has taken over.

        Raises:
            ExecutorError: if the user has closed it.
        """
        source: Any = self._source()
        if source is None or _was_closed(source):
            what = "cluster" if isinstance(source, Cluster) else "client"
            raise ExecutorError(f"The Dask {what} was closed; make a new one.")
        return self._own or source

    def connected(self) -> bool:
        """Whether tasks can be sent now."""
        return bool(self.client.status == "running")

    def require_answers(self) -> None:
        """Ask for a sign of life of the scheduler, if the last time is a while ago.

        Raises:
            ExecutorError: if there is a connection, and has been none for :data:`PATIENCE` seconds.
        """
        client: Any = self.client
        if not self.connected() or time.monotonic() - self._asked < _BETWEEN_SIGNS:
            return
        self._asked = time.monotonic()
        if client.sync(_lives, client):
            self._silent = None
            return
        self._silent = self._silent or self._asked
        if time.monotonic() - self._silent > PATIENCE:
            raise self._silence()

    def patiently(self, ask: Callable[[Any], Any], by: Client | None = None) -> Any:
        """What the scheduler, or a worker through it, answers, however long that takes.

        Args:
            ask: is given the client, in its event loop, where its methods can be awaited.
            by: a client; default the one of the session.

        Raises:
            ExecutorError: if there is no sign of life for :data:`PATIENCE` seconds.
        """
        client: Any = by or self.client

        async def watched() -> Any:
            answer, heard = asyncio.ensure_future(ask(client)), time.monotonic()
            while not (await asyncio.wait({answer}, timeout=_BETWEEN_SIGNS))[0]:
                if await _lives(client):
                    heard = time.monotonic()
                elif time.monotonic() - heard > PATIENCE:
                    answer.cancel()
                    raise self._silence()
            return answer.result()

        found = client.sync(watched)
        self._silent = None
        return found

    def _silence(self) -> ExecutorError:
        return ExecutorError(
            f"The Dask scheduler at {self._address} is connected but has not answered for "
            f"{PATIENCE:g} s. Look at its log and its process, start it again, run the job anew."
        )

    def workers(self, timeout: float | None = None) -> dict[str, Any]:
        """What the scheduler knows of its workers, by address; nothing while it is away.

        Args:
            timeout: seconds for its answer; None for as long as it lives.

        Raises:
            TimeoutError: if it does not answer in time.
            ExecutorError: as :meth:`patiently`.
        """
        client: Any = self.client
        if not self.connected():
            return {}

        def identity(client: Any) -> Any:
            # not client.scheduler_info(), which has no timeout, and gives what the client has noted
            # last: that may be its own periodic look by now, which asks for no workers
            return client.scheduler.identity(n_workers=-1)

        try:
            if timeout is None:
                answer = self.patiently(identity)
            else:
                answer = client.sync(identity, client, callback_timeout=timeout)
            found: dict[str, Any] = answer["workers"]
        except TimeoutError:
            if timeout is not None:
                raise
            return {}
        except OSError:
            return {}
        except Exception:  # a client that is closed meanwhile raises whatever its event loop does
            if self.connected():
                raise
            return {}
        return found

    def processing(self, timeout: float) -> dict[str, list[str]]:
        """Keys of the tasks, of all clients, that workers have been given, by address.

        Raises:
            OSError: if the scheduler does not answer within so many seconds.
        """
        client: Any = self.client
        return client.sync(client.scheduler.processing, callback_timeout=timeout)

    def running(self, workers: list[str], timeout: float) -> set[str]:
        """Keys of the tasks that workers run now; of those that answer.

        Raises:
            OSError: if none of them does within so many seconds.
        """
        client: Any = self.client
        answers = client.sync(
            client._run, running, workers=workers, on_error="ignore", callback_timeout=timeout
        )
        return set().union(*answers.values())

    def check(self, workers: frozenset[str], *, anew: bool = False) -> None:
        """Hold workers to this process's versions, and prepare them for simulations, once each.

        Args:
            workers: addresses of all workers there are.
            anew: whether to check those, too, that have been checked before, since the scheduler
                may be another one.

        Raises:
            VersionMismatchError: if one of them, or the scheduler, has others.
            ExecutorError: as :meth:`patiently`.
        """
        with self._lock:
            if anew:
                self._prepared = None
            if anew or not workers <= self._checked:
                found = self.patiently(versions.asked)
                versions.require_same(versions.installed(), versions.by_name(found))
                self.patiently(lambda client: client.register_plugin(AerPlugin(), PLUGIN_NAME))
                self._checked = workers

    def hold(self, digest: str) -> None:
        """A job begins that needs options and noise models at the scheduler: see :meth:`renew`."""
        with self._books:
            self._jobs[digest] += 1

    def renew(self, digest: str, shared: bytes) -> None:
        """Have the scheduler hold them; one that was restarted has forgotten all."""
        with self._lock:
            if self._prepared != self.client.id:
                self._install_store()
            known = self._hold(digest=digest)
            if known is None:
                self._install_store()
            if not known:
                self._hold(digest=digest, data=shared)

    def release(self, digest: str) -> None:
        """A job has ended: keep its options only while they are among the last ones used.

        Raises:
            OSError: if the scheduler does not answer soon.
        """
        with self._books:
            self._jobs[digest] -= 1
            self._recent = deque([d for d in self._recent if d != digest] + [digest])
            if len(self._recent) > _KEPT:
                oldest = self._recent.popleft()
                # those of a job that still runs come back here when it ends
                if self._jobs[oldest] <= 0:
                    del self._jobs[oldest]
                    if self.connected():
                        self._forget(oldest)

    def connect(self, stop: threading.Event) -> None:
        """Wait until there is a connection to the scheduler, or ``stop`` is set.

        Raises:
            ExecutorError: if there is none for :data:`PATIENCE` seconds, or the user has closed
                the client.
        """
        lost = time.monotonic()
        while not stop.is_set() and not self.connected():
            away = time.monotonic() - lost
            if away > PATIENCE:
                raise ExecutorError(
                    f"The Dask scheduler at {self._address} was lost and did not come back within "
                    f"{PATIENCE:g} s. Look at its log, start it again, and run the job anew."
                )
            # one job does it for all: a second client would end what the first has sent already
            if away > GRACE and self._taking_over.acquire(blocking=False):
                try:
                    if not self.connected():
                        self._take_over()
                finally:
                    self._taking_over.release()
            stop.wait(_POLL)

    def _take_over(self) -> None:
        """Connect with a client of our own, if the scheduler can be reached."""
        if not _reachable(self._address):
            return
        try:
            client = _new_client(
                self._source, self._address, security=self._security, timeout=_CONNECT
            )
        except OSError:
            return
        with self._lock:
            former, self._own = self._own, client
        if former is not None:
            _close(former)
        logger.warning(
            "The Dask client has lost the scheduler at %s; a connection of aer_dask's own has "
            "taken its place, for this job and later ones.",
            self._address,
        )

    def _install_store(self) -> None:
        """Give the scheduler a :class:`SharedStore`, unless it has one."""
        client: Any = self.client
        cloudpickle.register_pickle_by_value(shared_store)
        try:
            plugin = cloudpickle.dumps(shared_store.SharedStore())
        finally:
            cloudpickle.unregister_pickle_by_value(shared_store)
        self.patiently(
            lambda client: client.scheduler.register_scheduler_plugin(
                plugin=plugin, name=shared_store.NAME, idempotent=True
            )
        )
        client.subscribe_topic(shared_store.LOST, self._note_lost)
        self._prepared = client.id

    def _note_lost(self, event: tuple[float, dict[str, Any]]) -> None:
        """Called by Dask's client."""
        when, lost = event
        self.lost_workers.append(LostWorker(lost["worker"], tuple(lost["keys"]), when))

    def _forget(self, digest: str) -> None:
        client: Any = self.client
        forget = client.scheduler.aer_dask_release
        client.sync(forget, client=client.id, digest=digest, callback_timeout=_SIGN)

    def _hold(self, **arguments: Any) -> Any:
        """What the store answers; None where the scheduler has none."""
        return self.patiently(
            lambda client: client.scheduler.aer_dask_hold(client=client.id, **arguments)
        )


async def _lives(client: Any) -> bool:
    """Whether the scheduler gives a sign of life; asked in the client's event loop."""
    try:
        await asyncio.wait_for(client.scheduler.identity(n_workers=0), _SIGN)
    except OSError:
        return False
    return True


def _was_closed(source: Client | Cluster) -> bool:
    """Whether the user has closed a client or cluster.

    A client that has given up its scheduler is closed, too, but its event loop still runs.
    """
    if isinstance(source, Cluster):
        return source.status in (Status.closing, Status.closed)
    return source.status in ("closing", "closed") and not source._loop_runner.is_started()


def _reachable(address: str) -> bool:
    """Whether something listens there, asked with a short timeout of its own."""
    with (
        contextlib.suppress(OSError, ValueError),  # in-process addresses have no port
        socket.create_connection(get_address_host_port(address), _REACH),
    ):
        return True
    return False


_ours: WeakSet[Client] = WeakSet()


def _new_client(source: ref[Client | Cluster], address: str, **options: Any) -> Client:
    """A client of our own, which is closed when the user's client or cluster is, or Python ends."""
    with versions.ours_to_compare():
        client: Any = Client(address, set_as_default=False, **options)
    _ours.add(client)
    if isinstance(opened := source(), Cluster):
        client.cluster = proxy(opened)  # with which it goes, rather than look for it for 30 s
    client.loop.add_callback(_close_with, source, client)
    return client  # type: ignore[no-any-return]


async def _close_with(source: ref[Client | Cluster], client: Client) -> None:
    """Close a client once the user has closed what it stands for, or has forgotten it."""
    while (opened := source()) is not None and not _was_closed(opened):
        del opened
        await asyncio.sleep(_WATCH)
    # which waits for this event loop
    threading.Thread(target=_close, args=(client,), name="aer-dask-close", daemon=True).start()


def _close(client: Client) -> None:
    log = logging.getLogger("distributed.utils")
    log.addFilter(_is_no_cancellation)
    try:
        with contextlib.suppress(Exception):  # there may be nobody left to say goodbye to
            client.close(timeout=1)
    finally:
        log.removeFilter(_is_no_cancellation)
    client._loop_runner.stop()  # which Dask forgets where the client has given up by itself


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Not what Dask says, with a traceback, of a client that is closed while it reconnects."""
    return not isinstance(record.msg, asyncio.CancelledError)


@atexit.register
def _close_ours() -> None:
    for client in list(_ours):
        _close(client)


_sessions: WeakKeyDictionary[Client | Cluster, Session] = WeakKeyDictionary()
_sessions_lock = threading.Lock()
#: What a forked process has of the other one's: clients without their event loops, for which
#: whoever closes them, as Python does where nobody keeps them, would wait.
_inherited: list[Any] = []


def _inherit() -> None:
    """What a forked process does first; there is nobody to release the lock."""
    global _sessions_lock  # noqa: PLW0603
    _sessions_lock = threading.Lock()
    _inherited.extend([*Client._instances, *_sessions.values()])
    _sessions.clear()


os.register_at_fork(after_in_child=_inherit)


def session_of(source: Client | Cluster) -> Session:
    """The session of a client or cluster, the same one each time.

    Raises:
        ExecutorError: if it is asynchronous, closed or another process's.
    """
    if source in _inherited:
        raise ExecutorError(
            "This process is a copy of the one that made the Dask client, and has no connection of "
            'its own. Make a client in it, or start processes by "spawn" and give them the backend.'
        )
    if source.asynchronous:
        raise ExecutorError(
            f"The Dask {type(source).__name__} is asynchronous, and run() is not. "
            "Make one without asynchronous=True."
        )
    with _sessions_lock:
        if source in _sessions:
            return _sessions[source]
        if source.status in ("closing", "closed", Status.closing, Status.closed):
            raise ExecutorError(f"The Dask {type(source).__name__} is closed; make a new one.")
        session = _sessions[source] = Session(source)
        return session
