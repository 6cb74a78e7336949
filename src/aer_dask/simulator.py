"""``AerSimulator``, with an executor that works again."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import Any

import qiskit_aer
from qiskit import QuantumCircuit
from qiskit.providers import Options
from qiskit_aer import AerError

from .burst import burst
from .compile.assemble import Assembler, Request
from .errors import StoreError
from .executors import portable
from .executors.choose import dispatcher
from .jobs.jobset import AerJobSet
from .jobs.stored import StoredJob
from .runs import options as own_options
from .runs.costs import CostModel
from .runs.options import RunOptions
from .runs.plan import Plan
from .runs.run import Run
from .store.entries import Entries, JobRecord

#: The arguments of one run: circuits, parameter_binds, options; as for `Request`, also Paulis.
Arguments = tuple[Any, ...]


class SimulatorOptions(Options):
    """The options of a backend, whose copies share the executor and whose pickle says where it is.

    Libraries copy and pickle backends, with the options or those alone; a connection to a cluster
    can be neither copied nor pickled.
    """

    __slots__ = ()  # else vars(options) were empty: in the base class __dict__ is a property

    def __deepcopy__(self, memo: dict[int, Any]) -> SimulatorOptions:
        fields, validator = super().__getstate__()
        memo[id(fields["executor"])] = fields["executor"]
        copied = type(self)()
        copied.__setstate__(copy.deepcopy((fields, validator), memo))
        return copied

    def __getstate__(self) -> tuple[dict[str, Any], dict[str, Any]]:
        fields, validator = super().__getstate__()
        return {**fields, "executor": portable.packed(fields["executor"])}, validator


class AerSimulator(qiskit_aer.AerSimulator):
    """Qiskit Aer's simulator, spread over the workers of an executor.

    Made with the ``*args`` and ``**options`` of :class:`qiskit_aer.AerSimulator`. It has all of
    these, and besides the following, of which the first three do something again:

    * ``executor``: a ``dask.distributed`` Client or Cluster, a ``concurrent.futures`` executor, or
      ``"dask"`` for this process's current client. Default None: plain Aer, untouched. Copies of a
      backend share it. A pickled backend carries the address of a Dask cluster and the paths of its
      TLS files, and connects when it first runs; with a pool it cannot be pickled.
    * ``max_job_size``: circuits per task. Default None: chosen from the estimated work.
    * ``max_shot_size``: shots per task, of circuits whose shots are simulated one by one. Default
      None: chosen.
    * ``seed_policy``: ``"aer"`` (default) gives the bits of plain Aer for every number of workers
      and tasks. ``"independent"`` gives each block of shots a hashed seed of 63 bits: other bits
      than Aer's, free of the overlap of its seeds beyond 2113 shots, and it also splits the
      sampling of matrix product states and (extended) stabilizers. With it, results depend on
      ``max_shot_size`` but not on the cluster.
    * ``noise_sampling``: ``"aer"`` (default) simulates noisy circuits as Aer does. ``"shared"``
      draws the errors of all shots first and simulates once what shots have in common, many times
      faster where errors are rare: other bits than Aer's, from exactly the same distribution, and
      with a seed the same for every number of workers and tasks; what cannot be done is refused
      with a sentence. ``"auto"`` takes, for each circuit, what is predicted to be faster. Both work
      without an executor too, in a process beside this one.
    * ``prefix_sharing``: whether rows of parameter values that agree up to a point of the circuit
      share the simulation up to there, where that changes no bit: ideal statevectors of up to 14
      qubits, or of any number with ``fusion_enable=False``. Default True.
    * ``store``: where results are kept, so that they outlive this process and a run that is started
      again takes what is there: a folder, a URL such as ``"s3://bucket/prefix"``, or an
      :class:`aer_dask.store.Store`. Default None: with an executor ``aer-dask.store`` of Dask's
      configuration, if that is set. False: none. Works without an executor too, in a process
      beside this one.

    Example:
        >>> from distributed import Client                                     # doctest: +SKIP
        >>> backend = AerSimulator(executor=Client("tcp://scheduler:8786"))    # doctest: +SKIP
        >>> backend.run(circuits, shots=10_000, seed_simulator=7).result()     # doctest: +SKIP
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        #: what runs of this backend have learnt about how long simulations take
        self._costs = CostModel()

    @classmethod
    def _default_options(cls) -> Options:
        return SimulatorOptions(**super()._default_options(), **own_options.DEFAULTS)

    def run(
        self,
        circuits: QuantumCircuit | Iterable[QuantumCircuit],
        parameter_binds: list[dict[Any, Any]] | None = None,
        **run_options: Any,
    ) -> Any:
        """Run circuits, on the executor if there is one.

        Args:
            circuits: one circuit or several.
            parameter_binds: for each circuit a dictionary of parameter to values; n values give
                n results, in order, in the place of the circuit.
            run_options: options for this run only.

        Returns:
            AerJobSet: with an executor, a store, or a ``noise_sampling`` other than ``"aer"``; else
            the AerJob of plain Aer.

        Raises:
            AerError: for circuits, bindings or options that Aer would refuse.
            ExecutorError: if the executor cannot take work.
            VersionMismatchError: if the cluster runs other versions than this process.
            InsufficientMemoryError: if a circuit fits in no worker.
            StoreError: if the store can never work: a wrong URL, or a package that is missing.
        """
        options = RunOptions.of(self.options, run_options)  # refuses them here, too
        if self._get_executor(**run_options) is None and _is_aers(options):
            run_options.pop("executor", None)
            return super().run(circuits, parameter_binds, **run_options)
        return self.run_batches([(circuits, parameter_binds, {})], **run_options)

    def run_batches(self, batches: Sequence[Arguments], **run_options: Any) -> AerJobSet:
        """Several runs as one job set, so that all of them fill the executor together.

        Args:
            batches: of each run the circuits, the parameter_binds (or None) and its own options,
                such as ``shots``; and, if wanted, for each circuit a tuple of the Pauli strings
                whose expectation values are saved at its end, each labelled with itself. Each run
                has the bits it would have alone.
            run_options: options of all of them.

        Returns:
            A job set; its :meth:`AerJobSet.results` has a Result for each run.

        Raises:
            Exception: as :meth:`run`; AerError if there is no executor.
        """
        run = self._compiled(batches, run_options)
        return self._started(run, self._required_executor(run_options))

    def plan(
        self,
        circuits: QuantumCircuit | Iterable[QuantumCircuit],
        parameter_binds: list[dict[Any, Any]] | None = None,
        **run_options: Any,
    ) -> Plan:
        """What :meth:`run` would send with the same arguments, without sending it.

        Args:
            circuits: as for :meth:`run`.
            parameter_binds: as for :meth:`run`.
            run_options: as for :meth:`run`.

        Raises:
            AerError: as :meth:`run`; and if there is no executor.
        """
        run = self._compiled([(circuits, parameter_binds, {})], run_options)
        executor = dispatcher(self._required_executor(run_options))
        capacity = executor.capacity()
        with burst():
            portions = list(run.tasks(run.planner(capacity.slots, capacity.memory)))
            tasks = tuple(chain.from_iterable(portions))
            payloads = [run.payload(task) for task in tasks]
        return Plan(tasks, tuple(run.experiments)).with_bytes(payloads, run.shared)

    def jobs(self, limit: int | None = 10, skip: int = 0) -> list[StoredJob]:
        """The jobs of the backend's store, the newest first.

        Args:
            limit: how many at the most; None for all.
            skip: how many of the newest to leave out.

        Raises:
            StoreError: if there is no store, or it cannot be read.
        """
        entries = self._entries()
        found = entries.jobs()[skip:][:limit]
        return [self._stored(entries, record) for record in entries.records(found)]

    def retrieve_job(self, job_id: str) -> StoredJob:
        """A job of the backend's store, of whichever process.

        Args:
            job_id: what ``job.job_id()`` has said, or :meth:`jobs` lists.

        Raises:
            StoreError: if there is no such job, no store, or it cannot be read.
        """
        entries = self._entries()
        return self._stored(entries, entries.record(job_id))

    def _entries(self) -> Entries:
        store = RunOptions.of(self.options, {}).store
        if store is None:
            raise StoreError('There is no store to look into; set store="..." on the backend.')
        return Entries(store)

    def _stored(self, entries: Entries, record: JobRecord) -> StoredJob:
        def start(run: Run, record: JobRecord) -> AerJobSet:
            run.options, run.costs = replace(run.options, store=entries.store), self._costs
            return self._started(run, self._required_executor({}), record)

        return StoredJob(self, entries.store, record, start)

    def _started(self, run: Run, executor: Any, resumed: JobRecord | None = None) -> AerJobSet:
        job = AerJobSet(run, dispatcher(executor), executor, resumed)
        job.submit()
        return job

    def _get_executor(self, **run_options: Any) -> Any:
        return portable.unpacked(super()._get_executor(**run_options))

    def _required_executor(self, run_options: dict[str, Any]) -> Any:
        executor = self._get_executor(**run_options)
        if executor is not None:
            return executor
        if _is_aers(RunOptions.of(self.options, run_options)):
            raise AerError("There is no executor to spread the circuits over; set executor=...")
        return _local_pool()

    def _compiled(self, batches: Sequence[Arguments], run_options: dict[str, Any]) -> Run:
        options = RunOptions.of(self.options, run_options)
        assembler = Assembler(self, run_options)
        with burst():
            compiled = [
                assembler.assemble(Request(_as_list(circuits), *others))
                for circuits, *others in batches
            ]
            return Run(self, compiled, options, self._costs)


def _is_aers(options: RunOptions) -> bool:
    """Whether a run without an executor is plain Aer's."""
    return options.noise_sampling == "aer" and options.store is None


@cache
def _local_pool() -> ThreadPoolExecutor:
    """What simulates, in a child, where there is no executor and the work is not Aer's."""
    return ThreadPoolExecutor(1, thread_name_prefix="aer-dask")


# a forked process has the pool, but not its thread
os.register_at_fork(after_in_child=_local_pool.cache_clear)


def _as_list(circuits: QuantumCircuit | Iterable[QuantumCircuit]) -> list[QuantumCircuit]:
    circuits = [circuits] if isinstance(circuits, QuantumCircuit) else list(circuits)
    if not circuits:
        raise AerError("run() was given no circuits.")
    for index, circuit in enumerate(circuits):
        if not isinstance(circuit, QuantumCircuit):
            raise AerError(f"Circuit {index} is a {type(circuit).__name__}, not a QuantumCircuit.")
    return circuits
