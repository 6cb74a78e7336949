"""``AerSimulator``, with an executor that works again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import qiskit_aer
from qiskit import QuantumCircuit
from qiskit.providers import Options
from qiskit_aer import AerError

from . import dispatch
from .assemble import assemble
from .jobset import AerJobSet
from .plan import Plan
from .run import Run


class AerSimulator(qiskit_aer.AerSimulator):
    """Qiskit Aer's simulator, spread over the workers of an executor.

    All options of :class:`qiskit_aer.AerSimulator`, and of those these do something again:

    * ``executor``: a ``dask.distributed`` Client or Cluster, a ``concurrent.futures`` executor, or
      ``"dask"`` for this process's current client. Default None: plain Aer, untouched.
    * ``max_job_size``: circuits per task. Default None: chosen from the estimated work.
    * ``max_shot_size``: shots per task, of circuits whose shots are simulated one by one. Default
      None: chosen.
    * ``seed_policy``: ``"aer"`` (default) gives the bits of plain Aer for every number of workers
      and tasks. ``"independent"`` gives each block of shots a hashed seed of 63 bits: other bits
      than Aer's, free of the overlap of its seeds beyond 2113 shots, and it also splits the
      sampling of matrix product states and (extended) stabilizers. With it, results depend on
      ``max_shot_size`` but not on the cluster.

    Example:
        >>> from distributed import Client                                     # doctest: +SKIP
        >>> backend = AerSimulator(executor=Client("tcp://scheduler:8786"))    # doctest: +SKIP
        >>> backend.run(circuits, shots=10_000, seed_simulator=7).result()     # doctest: +SKIP
    """

    @classmethod
    def _default_options(cls) -> Options:
        options = super()._default_options()
        options.seed_policy = "aer"
        return options

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
            AerJobSet: with an executor; else the AerJob of plain Aer.

        Raises:
            AerError: for circuits, bindings or options that Aer would refuse.
            ExecutorError: if the executor cannot take work.
            VersionMismatchError: if the cluster runs other versions than this process.
            InsufficientMemoryError: if a circuit fits in no worker.
        """
        executor = self._get_executor(**run_options)
        if executor is None:
            run_options.pop("executor", None)
            return super().run(circuits, parameter_binds, **run_options)
        dispatcher = dispatch.dispatcher(executor)
        job = AerJobSet(self._compiled(circuits, parameter_binds, run_options), dispatcher)
        job.submit()
        return job

    def plan(
        self,
        circuits: QuantumCircuit | Iterable[QuantumCircuit],
        parameter_binds: list[dict[Any, Any]] | None = None,
        **run_options: Any,
    ) -> Plan:
        """What :meth:`run` would send with the same arguments, without sending it.

        Raises:
            AerError: as :meth:`run`; and if there is no executor.
        """
        executor = self._get_executor(**run_options)
        if executor is None:
            raise AerError("Without an executor there is nothing to plan; set executor=...")
        run = self._compiled(circuits, parameter_binds, run_options)
        plan = run.planner(dispatch.dispatcher(executor).slots()).plan()
        return plan.with_bytes([run.payload(task) for task in plan.tasks], run.shared)

    def _compiled(
        self,
        circuits: QuantumCircuit | Iterable[QuantumCircuit],
        parameter_binds: list[dict[Any, Any]] | None,
        run_options: dict[str, Any],
    ) -> Run:
        circuits = [circuits] if isinstance(circuits, QuantumCircuit) else list(circuits)
        if not circuits:
            raise AerError("run() was given no circuits.")
        for index, circuit in enumerate(circuits):
            if not isinstance(circuit, QuantumCircuit):
                raise AerError(
                    f"Circuit {index} is a {type(circuit).__name__}, not a QuantumCircuit."
                )
        sizes = {
            name: run_options.get(name, getattr(self.options, name))
            for name in ("max_job_size", "max_shot_size", "seed_policy")
        }
        return Run(self, assemble(self, circuits, parameter_binds, run_options), **sizes)
