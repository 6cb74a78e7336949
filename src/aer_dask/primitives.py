"""Aer's primitives, with all pubs of a call in one job set.

Aer's own EstimatorV2 waits for each pub before it runs the next one, and its SamplerV2 for each
number of shots, which leaves a cluster idle. These send everything at once. With an executor the
values are those of Aer's primitives, bit for bit; without one they *are* Aer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import qiskit_aer
from qiskit.primitives.containers import (
    DataBin,
    PrimitiveResult,
    PubResult,
    SamplerPubResult,
)
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.result import Result
from qiskit_aer import primitives as aer
from qiskit_aer.primitives.sampler_v2 import (
    _analyze_circuit,
    _convert_parameter_bindings,
    _prepare_memory,
)

from .burst import burst
from .simulator import AerSimulator, Arguments


def _backend(given: Any, executor: Any) -> qiskit_aer.AerSimulator:
    """The backend of a primitive: the one given, or a simulator made from it."""
    if isinstance(given, AerSimulator) and executor is None:
        return given
    if isinstance(given, qiskit_aer.AerSimulator):
        if executor is None:
            return given
        backend = AerSimulator(
            configuration=given._configuration, properties=given._properties, target=given._target
        )
        backend._options.update_options(**vars(given.options))
        backend.set_options(executor=executor)
        return backend
    return AerSimulator.from_backend(given, executor=executor)


class _OnExecutor:
    """What the two primitives share: their backend, and whether it has an executor."""

    _backend: Any
    options: Any

    def _has_executor(self) -> bool:
        return (
            isinstance(self._backend, AerSimulator)
            and self._backend._get_executor(**self.options.run_options) is not None
        )

    @classmethod
    def from_backend(cls, backend: Any, *, executor: Any = None, **options: Any) -> Any:
        """A primitive that uses a backend.

        Args:
            backend: an AerSimulator, or any BackendV2 to be simulated with its noise.
            executor: as for :class:`AerSimulator`; default the backend's own.
            options: as for the constructor.
        """
        primitive = cls(**options)
        primitive._backend = _backend(backend, executor)
        return primitive


class EstimatorV2(_OnExecutor, aer.EstimatorV2):  # type: ignore[misc]
    """Aer's EstimatorV2 that estimates all pubs, and all rows of their parameters, at once.

    Args:
        options: as for :class:`qiskit_aer.primitives.EstimatorV2`: ``default_precision``,
            ``backend_options`` (which may hold ``executor``) and ``run_options``.
        executor: as for :class:`AerSimulator`. Default None: that of ``backend_options``, if any.
    """

    def __init__(self, *, options: dict[str, Any] | None = None, executor: Any = None) -> None:
        super().__init__(options=_local(options))
        self._options.backend_options = dict((options or {}).get("backend_options", {}))
        self._backend = _new_backend(self._options.backend_options, executor)

    def _run(self, pubs: list[EstimatorPub]) -> PrimitiveResult:
        if not self._has_executor() or not pubs:
            return super()._run(pubs)
        with burst():
            # each time that it is asked for its terms, Qiskit makes them anew
            observables = [np.asarray(pub.observables) for pub in pubs]
            requests = [self._request(*each) for each in zip(pubs, observables, strict=True)]
            job = self._backend.run_batches(requests, **self.options.run_options)
        results = [
            self._evaluate(*each) for each in zip(pubs, observables, job.results(), strict=True)
        ]
        return PrimitiveResult(results, metadata={"version": 2})

    def _request(self, pub: EstimatorPub, observables: np.ndarray) -> Arguments:
        """The run that Aer's EstimatorV2 makes of a pub: all its Paulis saved, in one circuit."""
        return pub.circuit, [_convert_parameter_bindings(pub)], {}, [_paulis(observables)]

    def _evaluate(self, pub: EstimatorPub, observables: np.ndarray, result: Result) -> PubResult:
        """Expectation values from saved Paulis, as ``EstimatorV2._run_pub`` of Aer has them."""
        shape = pub.parameter_values.shape
        rows = np.arange(pub.parameter_values.size).reshape(shape)
        rows, observables = np.broadcast_arrays(rows, observables)
        values = np.zeros(rows.shape, dtype=float)
        for index in np.ndindex(*rows.shape):
            data = result.data(int(rows[index]))
            terms: Any = observables[index]
            for pauli, coefficient in terms.items():
                values[index] += data[pauli] * coefficient
        if pub.precision > 0:
            generator = np.random.default_rng(self.options.run_options.get("seed_simulator"))
            values = generator.normal(values, pub.precision, values.shape)
        return PubResult(
            DataBin(evs=values, stds=np.full(rows.shape, pub.precision), shape=values.shape),
            metadata={
                "target_precision": pub.precision,
                "circuit_metadata": pub.circuit.metadata,
                "simulator_metadata": result.metadata,
            },
        )


class SamplerV2(_OnExecutor, aer.SamplerV2):  # type: ignore[misc]
    """Aer's SamplerV2 that samples all pubs at once, whatever their numbers of shots.

    Args:
        default_shots: of pubs that name none. Default 1024.
        seed: of the simulator. Default None: ``seed_simulator`` of the options, or random.
        options: as for :class:`qiskit_aer.primitives.SamplerV2`: ``backend_options`` (which may
            hold ``executor``) and ``run_options``.
        executor: as for :class:`AerSimulator`. Default None: that of ``backend_options``, if any.
    """

    def __init__(
        self,
        *,
        default_shots: int = 1024,
        seed: int | None = None,
        options: dict[str, Any] | None = None,
        executor: Any = None,
    ) -> None:
        super().__init__(default_shots=default_shots, seed=seed, options=_local(options))
        self._options.backend_options = dict((options or {}).get("backend_options", {}))
        self._backend = _new_backend(self._options.backend_options, executor)

    def _run(self, pubs: list[SamplerPub]) -> PrimitiveResult:
        if not self._has_executor() or not pubs:
            return super()._run(pubs)
        groups: dict[int, list[int]] = {}  # Aer runs the pubs of one number of shots together
        for index, pub in enumerate(pubs):
            groups.setdefault(pub.shots, []).append(index)
        job = self._backend.run_batches(
            [_sampling(shots, [pubs[i] for i in group]) for shots, group in groups.items()],
            **self._run_options(),
        )
        sampled: dict[int, SamplerPubResult] = {}
        for (shots, group), result in zip(groups.items(), job.results(), strict=True):
            members = [pubs[i] for i in group]
            sampled |= zip(group, self._read(members, shots, result), strict=True)
        return PrimitiveResult([sampled[i] for i in range(len(pubs))], metadata={"version": 2})

    def _run_options(self) -> dict[str, Any]:
        options = {
            name: value
            for name, value in self.options.run_options.items()
            if name not in ("shots", "parameter_binds", "memory")
        }
        if self.seed is not None:
            options["seed_simulator"] = self.seed
        return {**options, "memory": True}

    def _read(
        self, pubs: Sequence[SamplerPub], shots: int, result: Result
    ) -> list[SamplerPubResult]:
        """Bit arrays of each pub, as ``SamplerV2._run_pubs`` of Aer has them."""
        memory = _prepare_memory(result)
        results, start = [], 0
        for pub in pubs:
            stop = start + pub.parameter_values.size
            registers, width = _analyze_circuit(pub.circuit)
            results.append(
                self._postprocess_pub(
                    memory[start:stop], shots, pub.parameter_values.shape, registers, width,
                    pub.circuit.metadata, result.metadata,
                )
            )  # fmt: skip
            start = stop
        return results


def _paulis(observables: np.ndarray) -> tuple[str, ...]:
    """The Pauli strings of observables, each once, in the order in which they come."""
    return tuple(dict.fromkeys(chain.from_iterable(observables.flat)))


def _sampling(shots: int, pubs: Sequence[SamplerPub]) -> Arguments:
    binds = [_convert_parameter_bindings(pub) for pub in pubs]
    return [pub.circuit for pub in pubs], binds, {"shots": shots}


def _local(options: dict[str, Any] | None) -> dict[str, Any] | None:
    """The options without those of the backend, which Aer's constructor would not understand."""
    return options and {name: value for name, value in options.items() if name != "backend_options"}


def _new_backend(backend_options: dict[str, Any], executor: Any) -> AerSimulator:
    chosen = {} if executor is None else {"executor": executor}
    return AerSimulator(**backend_options, **chosen)
