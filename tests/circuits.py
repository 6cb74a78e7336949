"""Circuits for the tests: one of each kind that Aer knows, and random ones for hypothesis."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import ClassicalRegister, Parameter
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import DiagonalGate, quantum_volume
from qiskit.quantum_info import Kraus, SparsePauliOp, StabilizerState, Statevector, random_unitary
from qiskit_aer import AerSimulator, library  # noqa: F401 (library adds save_* to circuits)
from qiskit_aer.noise import NoiseModel, amplitude_damping_error, depolarizing_error, reset_error


def pauli_noise() -> NoiseModel:
    """Depolarising gates and readout errors: what each shot draws anew."""
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.05, 1), ["h", "t", "sx", "x", "rx"])
    noise.add_all_qubit_quantum_error(depolarizing_error(0.1, 2), ["cx"])
    noise.add_all_qubit_readout_error([[0.95, 0.05], [0.1, 0.9]])
    return noise


def kraus_noise() -> NoiseModel:
    """Amplitude damping: Kraus operators."""
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(amplitude_damping_error(0.1), ["h", "x", "t", "rx"])
    noise.add_all_qubit_quantum_error(reset_error(0.05), ["sx"])
    return noise


def readout_noise() -> NoiseModel:
    """Readout errors alone, which Aer still samples."""
    noise = NoiseModel()
    noise.add_all_qubit_readout_error([[0.9, 0.1], [0.2, 0.8]])
    return noise


NOISES = {"ideal": lambda: None, "pauli": pauli_noise, "kraus": kraus_noise,
          "readout": readout_noise}  # fmt: skip


def bell(name: str = "bell") -> QuantumCircuit:
    """Two entangled qubits, measured."""
    circuit = QuantumCircuit(2, 2, name=name, metadata={"kind": name})
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def mid_circuit(gates: str = "clifford") -> QuantumCircuit:
    """A measurement and a reset in the middle."""
    circuit = QuantumCircuit(3, 3, name="mid", metadata={"kind": "mid"})
    circuit.h([0, 1])
    if gates == "all":
        circuit.t(0)
        circuit.h(0)
    circuit.measure(0, 0)
    circuit.h(0)
    circuit.cx(0, 2)
    circuit.reset(1)
    circuit.x(1)
    circuit.measure([0, 1, 2], [0, 1, 2])
    return circuit


def conditional(gates: str = "clifford") -> QuantumCircuit:
    """Gates that depend on a measurement."""
    circuit = QuantumCircuit(2, 2, name="conditional", metadata={"kind": "conditional"})
    circuit.h(0)
    if gates == "all":
        circuit.rx(0.3, 0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)) as otherwise:
        circuit.x(1)
    with otherwise:
        circuit.h(1)
    circuit.measure(1, 1)
    return circuit


def switch() -> QuantumCircuit:
    """A switch with a default case, which pickle would break."""
    circuit = QuantumCircuit(2, 2, name="switch")
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.switch(circuit.clbits[0]) as case:
        with case(0):
            circuit.x(1)
        with case(case.DEFAULT):
            circuit.h(1)
    circuit.measure(1, 1)
    return circuit


def loops() -> QuantumCircuit:
    """A while loop, a for loop, and classical variables with expressions."""
    circuit = QuantumCircuit(2, name="loops")
    register = ClassicalRegister(3, "c")
    circuit.add_register(register)
    count = circuit.add_var("count", expr.lift(1, types.Uint(2)))
    circuit.h(0)
    circuit.measure(0, 0)
    circuit.store(count, expr.lift(2, types.Uint(2)))
    with circuit.while_loop(expr.equal(register, 1)):
        circuit.h(0)
        circuit.measure(0, 0)
    with circuit.for_loop(range(2)):
        circuit.sx(1)
    with circuit.if_test(expr.logic_or(expr.equal(register, 2), expr.logic_not(circuit.clbits[0]))):
        circuit.h(1)
    circuit.measure(1, 1)
    return circuit


def saving(*names: str, measure: bool = False) -> QuantumCircuit:
    """A circuit that saves what is named, before or without measurements."""
    circuit = QuantumCircuit(2, 2, name="-".join(names), metadata={"saves": list(names)})
    circuit.h(0)
    circuit.cx(0, 1)
    if measure:
        circuit.measure(0, 0)
        circuit.h(0)
    for name in names:
        SAVES[name](circuit)
    if measure:
        circuit.measure([0, 1], [0, 1])
    return circuit


_ZX = SparsePauliOp(["ZZ", "XI"], [0.5, 1.0])
SAVES = {
    "expval": lambda c: c.save_expectation_value(_ZX, [0, 1], label="expval"),
    "expval_var": lambda c: c.save_expectation_value_variance(_ZX, [0, 1], label="expval_var"),
    "expval_shots": lambda c: c.save_expectation_value(_ZX, [0, 1], label="es", pershot=True),
    "probabilities": lambda c: c.save_probabilities(label="probabilities"),
    "probabilities_dict": lambda c: c.save_probabilities_dict([1], label="pd"),
    "statevector": lambda c: c.save_statevector(label="statevector"),
    "statevector_shots": lambda c: c.save_statevector(label="ss", pershot=True),
    "statevector_cond": lambda c: c.save_statevector(label="sc", conditional=True),
    "density_matrix": lambda c: c.save_density_matrix(label="density_matrix"),
    "density_matrix_cond": lambda c: c.save_density_matrix(label="dc", conditional=True),
    "amplitudes": lambda c: c.save_amplitudes([0, 3], label="amplitudes"),
    "amplitudes_squared": lambda c: c.save_amplitudes_squared([0, 3], label="as"),
    "stabilizer": lambda c: c.save_stabilizer(label="stabilizer"),
    "mps": lambda c: c.save_matrix_product_state(label="mps"),
    "unitary": lambda c: c.save_unitary(label="unitary"),
    "superop": lambda c: c.save_superop(label="superop"),
    "state": lambda c: c.save_state(label="state"),
}


def _with(change, *, measure: bool = True) -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    change(circuit)
    if measure:
        circuit.measure([0, 1], [0, 1])
    return circuit


def _open_control(circuit: QuantumCircuit) -> None:
    circuit.h(0)
    circuit.cx(0, 1, ctrl_state=0)


def zoo() -> dict[str, tuple[QuantumCircuit, str]]:
    """A circuit of every kind of instruction that Aer's compiler knows, with a method for it."""
    kinds = {
        "bell": bell(), "mid": mid_circuit("all"), "conditional": conditional("all"),
        "switch": switch(), "loops": loops(),
        "initialize": _with(lambda c: c.initialize([0.6, 0.8j], [0])),
        "initialize label": _with(lambda c: c.initialize("1+")),
        "set_statevector": _with(lambda c: c.set_statevector(Statevector([0, 1, 0, 0]))),
        "unitary": _with(lambda c: c.unitary(random_unitary(4, seed=1), [0, 1])),
        "diagonal": _with(lambda c: (c.h(0), c.append(DiagonalGate([1, -1]), [0]), c.h(0))),
        "kraus": _with(lambda c: c.append(Kraus(amplitude_damping_error(0.3)).to_instruction(), [0])),
        "channel": _with(lambda c: (c.x(0), c.append(depolarizing_error(0.3, 1), [0]))),
        "open control": _with(_open_control),
        "pauli": _with(lambda c: c.pauli("XY", [0, 1])),
        "u": _with(lambda c: (c.u(0.1, 0.2, 0.3, 0), c.cu(0.1, 0.2, 0.3, 0.4, 0, 1))),
        "delay": _with(lambda c: c.delay(10, 0)),
        "global phase": QuantumCircuit(1, global_phase=0.7),
    }  # fmt: skip
    kinds["global phase"].save_statevector()
    found = {name: (circuit, "automatic") for name, circuit in kinds.items()}
    found["set_density_matrix"] = (
        _with(lambda c: c.set_density_matrix(np.diag([0.5, 0, 0, 0.5]))), "density_matrix")  # fmt: skip
    found["set_stabilizer"] = (
        _with(lambda c: c.set_stabilizer(StabilizerState(bell().remove_final_measurements(False)))),
        "stabilizer")  # fmt: skip
    found["set_unitary"] = (_with(
        lambda c: (c.set_unitary(random_unitary(4, seed=2)), c.save_unitary()), measure=False),
        "unitary")  # fmt: skip
    methods = {"stabilizer": "stabilizer", "mps": "matrix_product_state", "unitary": "unitary",
               "superop": "superop", "density_matrix_cond": "density_matrix"}  # fmt: skip
    for name in SAVES:
        found[f"save {name}"] = (saving(name), methods.get(name, "automatic"))
    return found


def volume(qubits: int, seed: int = 1) -> QuantumCircuit:
    """A quantum volume circuit in Aer's basis, measured."""
    circuit = transpile(quantum_volume(qubits, seed=seed), basis_gates=["u", "cx"],
                        optimization_level=0)  # fmt: skip
    circuit.measure_all()
    return circuit


ANGLE = Parameter("angle")


def parameterised() -> QuantumCircuit:
    """A template with one parameter, in gates, in an expression and twice."""
    circuit = QuantumCircuit(2, 2, name="template", metadata={"kind": "template"})
    circuit.rx(ANGLE, 0)
    circuit.cx(0, 1)
    circuit.rz(2 * ANGLE + 1, 1)
    circuit.rx(ANGLE, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


@st.composite
def random_circuits(draw: st.DrawFn) -> QuantumCircuit:
    """Circuits of up to three qubits with gates, measurements, resets, conditions and saves."""
    qubits = draw(st.integers(1, 3))
    circuit = QuantumCircuit(qubits, qubits, name=draw(st.sampled_from("abc")),
                             metadata={"drawn": draw(st.integers(0, 9))})  # fmt: skip
    qubit = st.integers(0, qubits - 1)
    for step in draw(st.lists(st.sampled_from(
        ["h", "x", "t", "sx", "cx", "measure", "reset", "if", "initialize", "save", "barrier"]
    ), max_size=8)):  # fmt: skip
        q = draw(qubit)
        if step in ("h", "x", "t", "sx"):
            getattr(circuit, step)(q)
        elif step == "cx" and qubits > 1:
            circuit.cx(q, (q + 1) % qubits)
        elif step == "measure":
            circuit.measure(q, q)
        elif step == "reset":
            circuit.reset(q)
        elif step == "initialize":
            circuit.initialize([0.6, 0.8], q)
        elif step == "barrier":
            circuit.barrier()
        elif step == "save":
            circuit.save_expectation_value(SparsePauliOp("Z"), [q], label=f"save{len(circuit)}",
                                           pershot=draw(st.booleans()))  # fmt: skip
        elif step == "if":
            with circuit.if_test((circuit.clbits[q], 1)):
                circuit.x(draw(qubit))
    if draw(st.booleans()):
        circuit.measure(range(qubits), range(qubits))
    return circuit


def plain(noise: NoiseModel | None = None, **options) -> AerSimulator:
    """Plain Aer, what everything is compared with."""
    return AerSimulator(noise_model=noise, **options)
