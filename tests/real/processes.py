"""Processes of the dask command that a test starts and ends by itself, and ports nobody answers."""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import threading

import psutil
from distributed import Client
from distributed.security import Security

from aer_dask.clusters.settings import DASK_SETTINGS, WORKER_FLAGS
from tests.waiting import wait_until

_HOST = ("--host", "127.0.0.1")


def dask(*arguments, **environment):
    """A process of the dask command."""
    command = [sys.executable, "-m", "dask", *arguments]
    return subprocess.Popen(command, env=os.environ | DASK_SETTINGS | environment)


def free_port():
    """A port on which nothing listens, and that the kernel gives to nobody who asks for any."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port


class Cluster:
    """A scheduler on a port of its own, and workers to be added by name."""

    def __init__(self, **environment):
        self._environment = environment
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler = None
        self.workers = {}
        self._clients = []
        self.start_scheduler()
        self.client = self.new_client()

    def start_scheduler(self):
        """Start it, where the former one was."""
        self.scheduler = dask("scheduler", *_HOST, "--port", str(self.port), "--no-dashboard",
                              **self._environment)  # fmt: skip

    def kill_scheduler(self):
        """End it at once."""
        self.scheduler.kill()
        self.scheduler.wait()

    def new_client(self, **options):
        """A client that is closed with the cluster."""
        client = Client(self.address, **{"timeout": 120, **options})
        self._clients.append(client)
        return client

    def add_worker(self, name, *flags, wait=True, **environment):
        """Start a worker, and return its process, by default once it serves."""
        flags = (*_HOST, "--name", name, "--no-dashboard", *WORKER_FLAGS, *flags)
        worker = dask("worker", self.address, *flags, **self._environment, **environment)
        self.workers[name] = worker
        if wait:
            wait_until(lambda: self.addresses().get(name) in self.watched(), f"{name} serves")
        return worker

    def plain_worker(self, name, *flags, **environment):
        """Start a worker without the preload, and return its process."""
        flags = (*_HOST, "--name", name, "--no-dashboard", "--nthreads", "1", "--no-nanny", *flags)
        self.workers[name] = dask("worker", self.address, *flags, **environment)
        return self.workers[name]

    def kill_worker(self, name):
        """End a worker, its nanny and all, at once."""
        address = self.addresses()[name]
        pid = self.client.run(os.getpid, workers=[address])[address]
        self.workers[name].kill()  # the nanny first, or it would start another
        self.workers[name].wait()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
        wait_until(lambda: name not in self.addresses(), f"{name} is gone")

    def watched(self):
        """The addresses of the workers that their nannies have heard from."""
        return self.client.run(lambda dask_worker: dask_worker.worker_address, nanny=True).values()

    def addresses(self):
        """The address of each worker, by name."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        return {worker["name"]: address for address, worker in workers.items()}

    def runs(self, name):
        """Whether a worker runs a task."""
        address = self.addresses()[name]
        count = self.client.run(lambda dask_worker: dask_worker.state.executing_count)
        return count[address]

    def close(self):
        """End all processes."""
        for client in self._clients:
            client.close()
        for process in (self.scheduler, *self.workers.values()):
            process.kill()
            process.wait()


@contextlib.contextmanager
def kept_running(*starts):
    """Processes, each made by a function, and made again when it ends, as a kubelet does."""
    processes, ended = [start() for start in starts], threading.Event()

    def restart():
        while not ended.wait(0.1):
            for index, process in enumerate(processes):
                if process.poll() is not None:
                    processes[index] = starts[index]()

    kubelet = threading.Thread(target=restart)
    kubelet.start()
    try:
        yield processes
    finally:
        ended.set()
        kubelet.join()
        for process in processes:
            process.kill()
            process.wait()


@contextlib.contextmanager
def black_hole(port):
    """A port at which connections are neither accepted nor refused, as where a pod has gone.

    A listener whose queue is full: the kernel drops what comes.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(0)
        for _ in range(50):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.2)
            try:
                filler.connect(("127.0.0.1", port))
            except TimeoutError:
                break
        else:
            raise AssertionError("the listener's queue never filled")
        yield


def simulations(process_id):
    """The processes that simulate for a process and its own."""
    found = []
    for child in psutil.Process(process_id).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it may end while it is looked at
            if any(argument.startswith("aer_dask.") and argument.endswith("serve")
                   for argument in child.cmdline()):  # fmt: skip
                found.append(child)
    return found


def occupied(client):
    """Of each worker, by address, whether a child of it has been given a task."""

    def has_task():
        from aer_dask.worker.child import children

        return bool(children._running)

    return client.run(has_task)


def tls_files(folder):
    """Keys and certificates of all roles in files, as keywords of Security."""
    keys, files = Security.temporary(), {}
    for role in ("ca_file", "client_cert", "client_key", "worker_cert", "worker_key",
                 "scheduler_cert", "scheduler_key"):  # fmt: skip
        path = folder / role
        path.write_text(getattr(keys, f"tls_{role}"))
        files[f"tls_{role}"] = str(path)
    return files
