"""Rows that share what they have in common have the bits that they have alone."""

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector, Qubit
from qiskit.circuit.library import efficient_su2

from aer_dask.compile import columns, sharing
from aer_dask.compile.bindings import Bindings
from aer_dask.runs.options import RunOptions
from aer_dask.worker import execute, prefix
from tests.circuits import pauli_noise, plain, readout_noise
from tests.compiling import assemble, compiled_run
from tests.unit.test_bits import assert_same


@pytest.fixture(scope="module", autouse=True)
def always():
    """Rows share however little that saves, so that small circuits say something."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharing, "_LONG", 1)
        patch.setattr(prefix, "_WORTH", -1e9)
        yield


@pytest.fixture
def shared_runs(monkeypatch):
    """The legs of each call whose rows shared something."""
    seen = []

    class Seen(prefix.SharedRun):
        def output(self, legs):
            seen.append(legs)
            return super().output(legs)

    monkeypatch.setattr(execute, "SharedRun", Seen)
    return seen


PARAMETERS = ParameterVector("p", 6)
VALUES = st.sampled_from([0.0, -0.0, 0.5, 1.0, -2.0])


@st.composite
def ansaetze(draw):
    """Parameterised circuits on all of their qubits, measured or to be saved."""
    qubits = draw(st.integers(1, 4))
    circuit = QuantumCircuit(qubits, global_phase=draw(st.sampled_from([0.0, 0.3])))
    circuit.h(range(qubits))
    for gate in draw(st.lists(st.sampled_from(["rx", "rz", "u", "cx", "rzz", "t"]), max_size=30)):
        targets = draw(st.permutations(range(qubits)))
        angles = st.sampled_from([*PARAMETERS, 2 * PARAMETERS[0] - PARAMETERS[1]]) | VALUES
        if gate in ("rx", "rz"):
            getattr(circuit, gate)(draw(angles), targets[0])
        elif gate == "u":
            circuit.u(draw(angles), draw(angles), draw(angles), targets[0])
        elif gate == "t":
            circuit.t(targets[0])
        elif qubits > 1:
            circuit.cx(*targets[:2]) if gate == "cx" else circuit.rzz(draw(angles), *targets[:2])
    circuit.ry(PARAMETERS[0], 0)
    return circuit


@settings(max_examples=150, deadline=None)
@given(ansaetze(), st.data(), st.sampled_from(["automatic", "statevector"]), st.booleans())
def test_rows_that_share_some_of_their_values_have_the_bits_of_rows_alone(
    circuit, data, method, measured
):
    count = data.draw(st.integers(2, 9))
    binds = {p: data.draw(st.lists(VALUES, min_size=count, max_size=count))
             for p in circuit.parameters}  # fmt: skip
    paulis = None
    if measured:
        circuit.measure_all()
        circuit.rx(PARAMETERS[0], 0)  # after the last measurement, where it changes nothing
        binds = {p: binds.get(p, [0.5] * count) for p in circuit.parameters}
    else:
        paulis = [("Z" * circuit.num_qubits, "X" * circuit.num_qubits)]
    note(f"{circuit}\n{binds}")
    assert_same([circuit, circuit], [binds, binds], paulis=paulis and paulis * 2, method=method,
                shots=20, seed_simulator=4, memory=measured,
                sizes={"max_job_size": data.draw(st.sampled_from([None, 5]))})  # fmt: skip


def shift(circuit, scale=np.pi / 2):
    """The rows of a gradient by parameter shift."""
    base = np.random.default_rng(1).uniform(size=circuit.num_parameters)
    rows = np.concatenate([base + scale * np.eye(len(base)), base - scale * np.eye(len(base))])
    return {p: rows[:, i] for i, p in enumerate(circuit.parameters)}


def test_a_gradient_runs_three_fifths_of_its_gates(shared_runs):
    circuit = efficient_su2(12, reps=3)
    assert_same([circuit], [shift(circuit)], paulis=[("Z" * 12, "X" * 12)], seed_simulator=1)
    found, _ = columns.read(circuit)
    legs = [leg for run in shared_runs for leg in run]
    assert sorted(leg.row for leg in legs if leg.start) != []
    assert sum(len(found.codes) - leg.start for leg in legs) < 0.75 * len(found.codes) * len(legs)


def phases(qubits=2):
    """Rotations about z alone, and rows in which the last one is a quarter turn or more."""
    vector = ParameterVector("z", 60)
    circuit = QuantumCircuit(qubits)
    circuit.h(range(qubits))
    for angle in vector:
        circuit.rz(angle, range(qubits))
    circuit.h(range(qubits))
    circuit.measure_all()
    rows = np.zeros((10, 60))
    rows[:, -1] = np.arange(10) * np.pi / 2
    return circuit, {angle: rows[:, i] for i, angle in enumerate(vector)}


def test_rows_that_may_be_clifford_circuits_have_the_method_that_aer_chooses():
    circuit, binds = phases()
    assert_same([circuit], [binds], shots=100, seed_simulator=1, memory=True)


def test_readout_errors_reach_rows_that_would_share():
    circuit, binds = phases()
    assert_same([circuit], [binds], noise=readout_noise(), method="statevector", shots=100,
                seed_simulator=1)  # fmt: skip


@pytest.mark.parametrize("order", [[0, 1], [1, 0], [0, 1, 0], [1, 0, 1], [0, 2, 0]])
def test_circuits_that_share_rows_run_beside_others(order):
    circuit = efficient_su2(3, reps=3)
    circuit.measure_all()
    other = efficient_su2(2, reps=1)
    other.measure_all()
    bell = QuantumCircuit(1, 1)
    bell.h(0)
    bell.measure(0, 0)
    kinds = [(circuit, shift(circuit)), (bell, {}), (other, shift(other))]
    assert_same([kinds[i][0] for i in order], [kinds[i][1] for i in order], shots=20,
                seed_simulator=1, memory=True, method="statevector")  # fmt: skip


def test_values_in_an_order_of_the_users_own_are_shared_as_well():
    circuit = QuantumCircuit(3)
    for i in range(60):
        circuit.h(i % 3)
        circuit.rx(0.1, i % 3)
        circuit.cx(i % 3, (i + 1) % 3)
    circuit.measure_all()
    many, few = np.linspace(0, 3, 12).tolist(), [0.4] * 6 + [0.5] * 6
    assert_same([circuit], seed_simulator=1, shots=50, memory=True, method="statevector",
                parameterizations=[[((151, 0), many), ((1, 0), few)]])  # fmt: skip


@pytest.mark.parametrize(
    "why",
    [
        "switched off", "noise", "readout noise", "many qubits", "an idle qubit",
        "single precision", "another method", "a bound phase", "a measurement in the middle",
        "a small worker",
    ],
)  # fmt: skip
def test_rows_share_nothing_where_bits_or_memory_forbid_it(why, shared_runs):
    circuit = efficient_su2(15 if why == "many qubits" else 4, reps=2)
    if why == "an idle qubit":
        circuit.add_bits([Qubit()])
    if why == "a bound phase":
        circuit.global_phase = circuit.parameters[0]
    if why == "a measurement in the middle":
        circuit.measure_all()
        circuit.ry(circuit.parameters[1], 0)
        circuit.measure_active()
    backend = plain(
        {"noise": pauli_noise, "readout noise": readout_noise}.get(why, lambda: None)(),
        method="matrix_product_state" if why == "another method" else "statevector",
        precision="single" if why == "single precision" else "double",
    )
    pauli = ("I" if why == "an idle qubit" else "Z") + "Z" * (circuit.num_qubits - 1)
    paulis = None if why == "a measurement in the middle" else [(pauli,)]
    batch = assemble(backend, [circuit], [shift(circuit)], {"shots": 5}, paulis)
    options = RunOptions(prefix_sharing=why != "switched off")
    memory = 2000 if why == "a small worker" else None
    tasks = compiled_run(backend, [batch], options).planner(1, memory).plan().tasks
    assert not any(piece.shares for task in tasks for piece in task.pieces)


def test_values_differ_where_their_bits_do():
    bindings = Bindings.of([(3, 0, 0), (5, 0, 1)], [np.zeros(3), np.array([0.0, -0.0, -0.0])])
    rows = prefix.Rows.of(bindings)
    assert rows.depths(np.array([0, 1, 2]), end=9) == [5, 9]


def test_memory_counts_the_states_that_are_kept():
    circuit = efficient_su2(12, reps=2)
    batch = assemble(plain(method="statevector"), [circuit], [shift(circuit)], {}, [("Z" * 12,)])
    (task,) = compiled_run(plain(), [batch], RunOptions(max_job_size=1000)).planner(1).plan().tasks
    assert task.memory > sharing.STATES * 16 * 2**12


def test_what_fails_in_common_is_run_row_by_row(monkeypatch):
    monkeypatch.setattr(prefix.SharedRun, "_run", lambda *_: {"success": False})
    circuit = efficient_su2(3, reps=2)
    assert_same([circuit], [shift(circuit)], paulis=[("ZZZ",)], seed_simulator=1)
