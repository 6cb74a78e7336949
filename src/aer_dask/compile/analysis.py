"""What Aer will do with a program: active qubits, method, memory, and whether shots may be split.

The rules are those of qiskit-aer 0.18.2's C++ sources, named at each function. Two of them decide
about exactness and are followed to the letter: whether a circuit is sampled (one evolution, all
shots drawn from it), and when ``automatic`` turns to the density matrix because there are many
shots. Everything else here (method, memory, seconds) plans and informs, and a wrong guess costs
time only: :mod:`aer_dask.runs.merge` checks from Aer's own metadata that split shots were simulated
one by one, and the job runs a circuit again as a whole where they were not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any, NamedTuple

from qiskit_aer import AerSimulator

from .codec import Program

#: Where the condition stands among the arguments of a call.
_CONDITION = {
    "gate": 4, "diagonal": 2, "unitary": 2, "multiplexer": 2, "kraus": 2, "superop": 2,
    "jump": 2, "set_qerror_loc": 2, "reset": 1,
}  # fmt: skip
#: Where the subtype of what is saved stands among the arguments of a call.
_SUBTYPE = {"save_state": 2, "save_amplitudes": 3, "save_expval": 5}
#: Operations that make each shot differ, so that a circuit with one is never sampled.
_STOCHASTIC = frozenset({"reset", "kraus", "superop", "jump", "mark", "store"})
#: Methods of which one run gives every shot: splitting their shots would repeat the evolution.
_EVOLVE_ONCE = frozenset({"density_matrix", "unitary", "superop"})
#: Methods whose sampling costs more than their evolution (``seed_policy="independent"`` splits it).
_SLOW_SAMPLING = frozenset({"matrix_product_state", "stabilizer", "extended_stabilizer"})

#: Seconds a gate takes on one thread: fixed part, part per amplitude, and log2 of the amplitudes
#: per qubit. Orders of magnitude, measured on one core of 2026; `runs.costs` corrects them.
_GATE_SECONDS: dict[str, tuple[float, float, int]] = {
    "statevector": (2e-6, 1.2e-9, 1),
    "density_matrix": (2e-6, 2e-9, 2),
    "unitary": (2e-6, 1.5e-9, 2),
    "superop": (2e-6, 1.5e-9, 4),
    "stabilizer": (1e-6, 0.0, 0),
    "matrix_product_state": (5e-5, 0.0, 0),
    "extended_stabilizer": (1e-3, 0.0, 0),
    "tensor_network": (1e-4, 1e-9, 1),
}
#: Seconds to draw and store one sampled shot, for each measured qubit.
_SAMPLE_SECONDS = {"matrix_product_state": 3e-5, "stabilizer": 5e-6, "extended_stabilizer": 1e-2}
_CIRCUIT_SECONDS = 5e-4  # the controller's work for a circuit of no gates
_NOISE_SECONDS = 6e-6  # choosing errors and fusing gates anew, for each gate of each noisy shot


class Call(NamedTuple):
    """One operation of a program: the method of ``AerCircuit`` and its arguments."""

    name: str
    args: tuple[Any, ...]


@dataclass(frozen=True)
class NoiseFacts:
    """What matters of a noise model, read from its dictionary form."""

    quantum: bool = False
    readout: bool = False
    nonlocal_: bool = False
    instructions: frozenset[str] = frozenset()

    @classmethod
    def of(cls, noise: dict[str, Any]) -> NoiseFacts:
        """Read ``NoiseModel.to_dict()``."""
        errors = noise.get("errors", [])
        quantum = [e for e in errors if e["type"] == "qerror" and e.get("operations")]
        return cls(
            quantum=bool(quantum),
            readout=any(e["type"] == "roerror" for e in errors),
            nonlocal_=any("noise_qubits" in e for e in quantum),
            instructions=frozenset(
                step["name"] for e in quantum for circuit in e["instructions"] for step in circuit
            ),
        )


@dataclass(frozen=True)
class Profile:
    """What Aer will make of one circuit (one row of its bindings).

    ``memory`` is in bytes; ``shot_seconds`` and ``fixed_seconds`` are estimates for one thread:
    all shots take ``fixed_seconds + shots * shot_seconds``. ``divisible`` says that any slice of
    the shots gives exactly the slice of the whole; ``samplable`` that slices with seeds of their
    own give the same distribution for less than the whole would take.
    """

    name: str
    qubits: int
    method: str
    memory: int
    divisible: bool
    samplable: bool
    fixed_seconds: float
    shot_seconds: float

    def seconds(self, shots: int) -> float:
        """Estimated seconds for so many shots on one thread, before any correction."""
        return self.fixed_seconds + shots * self.shot_seconds


def qubits_of(call: Call) -> Sequence[int]:
    """The qubits that Aer counts as used by an operation."""
    if call.name == "bfunc":
        return ()
    if call.name == "gate":
        return call.args[1]  # type: ignore[no-any-return]
    qubits: Sequence[int] = call.args[0]
    if call.name == "save_expval":
        # identities of a Pauli string do not count (Circuit::add_op_metadata)
        used = {q for pauli in call.args[2] for q, p in zip(qubits, reversed(pauli), strict=False)
                if p != "I"}  # fmt: skip
        return sorted(used) or qubits[:1]
    return qubits


def _is_conditional(call: Call) -> bool:
    position = _CONDITION.get(call.name)
    if position is None:
        return False
    has_expression = call.name == "jump" and call.args[3] is not None
    return call.args[position] >= 0 or has_expression


def _contributes(call: Call, needed: set[int]) -> bool:
    """Whether the operation can change a result; walks from the end of the circuit.

    ``Circuit::check_result_ancestor`` in framework/circuit.hpp.
    """
    if call.name == "bfunc":
        return True
    qubits = call.args[1] if call.name == "gate" else call.args[0]
    if call.name.startswith("save_") or call.name in ("measure", "roerror", "store"):
        needed.update(qubits)
        return True
    if needed.isdisjoint(qubits):
        return False
    needed.update(qubits)
    return True


def contributing(program: Program, truncate: bool) -> list[Call]:
    """The operations left after Aer has dropped those that change no result."""
    calls = list(starmap(Call, program.calls))
    if not truncate:
        return calls
    needed: set[int] = set()
    return [call for call in reversed(calls) if _contributes(call, needed)][::-1]


def active_qubits(calls: list[Call]) -> int:
    """How many qubits the simulation has, after truncation."""
    return len(set().union(*(qubits_of(call) for call in calls))) if calls else 0


def can_sample(calls: list[Call], qubits: int) -> bool:
    """Whether all measurements can be drawn from one final state.

    ``Circuit::set_params`` in framework/circuit.hpp, on the operations that contribute.
    """
    if any(call.name == "store" for call in calls):
        return False
    starts = [i for i, call in enumerate(calls) if call.name == "initialize"]
    if starts and starts[-1] > 0 and len(calls[starts[-1]].args[0]) < qubits:
        return False
    measures = [i for i, call in enumerate(calls) if call.name == "measure"]
    if not measures:
        return True
    measured: set[int] = set()
    for call in calls[measures[0] :]:
        if _is_conditional(call) or call.name.startswith("save_"):
            return False
        if call.name in ("measure", "roerror"):
            measured.update(call.args[0])
        elif not measured.isdisjoint(qubits_of(call)):
            return False
    return True


def _is_sampled(calls: list[Call], qubits: int) -> bool:
    """Whether an ideal pure-state run is sampled (``check_measure_sampling_opt``)."""
    return can_sample(calls, qubits) and not any(call.name in _STOCHASTIC for call in calls)


def _operation_names(calls: list[Call]) -> set[str]:
    """Names as in the tables of ``AerSimulator``; marks and jumps come from control flow."""
    names = set()
    for call in calls:
        if call.name in ("gate", "pauli"):
            names.add(call.args[0].split("_o")[0])
        elif call.name in _SUBTYPE:
            names.add(call.args[1])
        elif call.name not in ("measure", "bfunc", "jump", "mark", "store", "set_qerror_loc"):
            names.add({"set_clifford": "set_stabilizer"}.get(call.name, call.name))
    return names


def _is_clifford_angle(call: Call) -> bool:
    quarter_turns = float(call.args[2][0].real) * 2 / math.pi
    return math.isclose(quarter_turns, round(quarter_turns), abs_tol=1e-8)


def automatic_method(calls: list[Call], noise: NoiseFacts, shots: int, *, bound: bool) -> str:
    """The method that ``automatic`` chooses.

    ``Controller::automatic_simulation_method`` in controllers/aer_controller.hpp.
    """
    qubits = active_qubits(calls)
    names = _operation_names(calls)
    if (
        prefers_density_matrix(calls, noise, shots)
        and noise.instructions <= _supported("density_matrix")
        and names <= _supported("density_matrix")
    ):
        return "density_matrix"
    clifford = not bound and all(
        _is_clifford_angle(call) for call in calls if call.name == "gate" and call.args[0] == "rz"
    )
    if clifford and names | noise.instructions <= _supported("stabilizer"):
        return "stabilizer"
    for method in ("statevector", "density_matrix", "matrix_product_state", "unitary", "superop"):
        if names <= _supported(method):
            return method
    return "statevector" if qubits else "stabilizer"


def prefers_density_matrix(calls: list[Call], noise: NoiseFacts, shots: int) -> bool:
    """Whether ``automatic`` tries the density matrix first: noise, and more shots than amplitudes.

    The one rule of ``automatic`` that looks at shots. Where it does not hold for all the shots it
    holds for no slice of them, so slices choose as the whole would.
    """
    qubits = active_qubits(calls)
    return noise.quantum and qubits < 30 and shots > 2**qubits and can_sample(calls, qubits)


def _supported(method: str) -> set[str]:
    return {*AerSimulator._BASIS_GATES[method], *AerSimulator._CUSTOM_INSTR[method]}


def memory_bytes(method: str, qubits: int, precision: str) -> int:
    """Memory of the state, as ``required_memory_mb`` of each Aer method counts it (0: small)."""
    exponent = _GATE_SECONDS.get(method, (0.0, 0.0, 0))[2]
    if exponent == 0 or method == "tensor_network":
        return 0
    return int((8 if precision == "single" else 16) * 2 ** (exponent * qubits))


def profile(program: Program, config: dict[str, Any], noise: NoiseFacts, *, bound: bool) -> Profile:
    """Predict what Aer will do with a circuit under these options and this noise."""
    truncate = config.get("enable_truncation", True) and not noise.nonlocal_
    calls = contributing(program, truncate)
    qubits, shots = active_qubits(calls), config["shots"]
    automatic = config.get("method") in (None, "automatic")
    method = automatic_method(calls, noise, shots, bound=bound) if automatic else config["method"]
    shot_by_shot = noise.quantum or not _is_sampled(calls, qubits)
    once = method in _EVOLVE_ONCE and (noise.quantum or can_sample(calls, qubits))
    fixed, per_shot = _seconds(calls, qubits, method, noise, shot_by_shot and not once)
    return Profile(
        name=program.header.get("name", ""),
        qubits=qubits,
        method=method,
        memory=memory_bytes(method, qubits, config.get("precision", "double")),
        divisible=(
            qubits > 0
            and shot_by_shot
            and method not in _EVOLVE_ONCE
            and method != "tensor_network"
            and not (automatic and prefers_density_matrix(calls, noise, shots))
            and config.get("device", "CPU") == "CPU"
            and not config.get("shot_branching_enable")
            and _saves_are_additive(calls)
        ),
        samplable=method in _SLOW_SAMPLING and not automatic and not _has_saves(calls),
        fixed_seconds=fixed,
        shot_seconds=per_shot,
    )


def depends_on_order(
    profiles: Sequence[Profile], config: dict[str, Any], noise: dict[str, Any]
) -> bool:
    """Whether the circuits of a batch influence each other, so that none may run alone.

    Under ``automatic``, a pure-state circuit with Kraus noise makes Aer 0.18 compute the noise's
    superoperators; a density matrix circuit later in the batch computes them again, on top of the
    first (``NoiseModel::enable_superop_method``, ``QuantumError::compute_circuits_superoperator``),
    and comes out different from what it is alone.
    """
    automatic = config.get("method") in (None, "automatic")
    if not automatic or NoiseFacts.of(noise).instructions.isdisjoint({"kraus", "superop"}):
        return False
    methods = [profile.method for profile in profiles]
    pure = [i for i, m in enumerate(methods) if m in ("statevector", "matrix_product_state")]
    mixed = [i for i, m in enumerate(methods) if m in ("density_matrix", "superop")]
    return bool(pure and mixed) and pure[0] < mixed[-1]


def _has_saves(calls: list[Call]) -> bool:
    return any(call.name in _SUBTYPE for call in calls)


def _saves_are_additive(calls: list[Call]) -> bool:
    """Whether what is saved in slices of shots adds up to what is saved in all of them.

    Averages do when each shot saves exactly once; Aer does not report how many shots went into a
    conditional average.
    """
    subtypes = {call.args[_SUBTYPE[call.name]] for call in calls if call.name in _SUBTYPE}
    jumps = any(call.name == "jump" for call in calls)
    return "c_average" not in subtypes and not ("average" in subtypes and jumps)


def _seconds(
    calls: list[Call], qubits: int, method: str, noise: NoiseFacts, per_shot: bool
) -> tuple[float, float]:
    fixed, slope, exponent = _GATE_SECONDS.get(method, _GATE_SECONDS["statevector"])
    gates = len(calls)
    evolution = gates * (fixed + slope * 2.0 ** min(exponent * qubits, 60))
    if method == "stabilizer":
        evolution += gates * qubits * 2e-9
    if per_shot:
        return _CIRCUIT_SECONDS, evolution + noise.quantum * gates * _NOISE_SECONDS
    return _CIRCUIT_SECONDS + evolution, qubits * _SAMPLE_SECONDS.get(method, 1e-8) + 2e-7
