"""Circuits that are read as columns are those that Aer's compiler would have made."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Clbit, Gate, Instruction, Parameter, ParameterExpression, Qubit
from qiskit.circuit.classical import types
from qiskit.circuit.library import CXGate, HGate, Measure
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping

from aer_dask.compile import assemble, columns
from aer_dask.compile.columns import KINDS
from aer_dask.compile.noise import NoiseFacts
from aer_dask.compile.prediction import predict
from tests.circuits import NOISES, bell, parameterised, plain
from tests.unit.test_bits import assert_same, in_pieces

STANDARD = get_standard_gate_name_mapping()
PARAMETERS = [Parameter(name) for name in "abc"]
ANGLES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 1, -0.0, np.float64(0.5), np.float32(0.25), math.pi / 2, -math.pi]),
    st.sampled_from([*PARAMETERS, 2 * PARAMETERS[0] + PARAMETERS[1], PARAMETERS[2] / 3]),
    st.just(PARAMETERS[0].bind({PARAMETERS[0]: 0.75})),
)


@st.composite
def standard_circuits(draw, parameters=True):
    """Circuits of every standard gate, on registers that overlap and bits that have none."""
    size = draw(st.integers(1, 5))
    qubits, clbits = (
        [Qubit() for _ in range(size)],
        [Clbit() for _ in range(draw(st.integers(1, 3)))],
    )
    circuit = QuantumCircuit(qubits, clbits, name=draw(st.sampled_from(["a", "ü", ""])),
                             metadata=draw(st.sampled_from([None, {"x": 1}])))  # fmt: skip
    if draw(st.booleans()):
        circuit.add_register(QuantumRegister(name="q", bits=draw(st.permutations(qubits))))
        circuit.add_register(ClassicalRegister(name="c", bits=clbits))
        circuit.add_register(ClassicalRegister(2, "d"))
    angles = ANGLES if parameters else st.floats(-7, 7) | st.sampled_from([0.0, math.pi / 2])
    circuit.global_phase = draw(st.floats(0, 6) | (angles if parameters else st.just(-0.0)))
    if not isinstance(circuit.global_phase, ParameterExpression):  # else copies have another one
        circuit.global_phase %= 6
    for name in draw(st.lists(st.sampled_from([*(kind.name for kind in KINDS), "barrier"]),
                              max_size=12)):  # fmt: skip
        if name == "barrier":
            circuit.barrier(draw(st.sampled_from(qubits)))
        elif name == "measure":
            circuit.measure(draw(st.sampled_from(qubits)), draw(st.sampled_from(circuit.clbits)))
        else:
            operation = STANDARD[name]
            if operation.num_qubits <= size:
                params = [draw(angles) for _ in operation.params]
                gate = type(operation)(*params)
                circuit.append(gate, draw(st.permutations(qubits))[: operation.num_qubits])
    return circuit


def by_aer(circuit):
    """The program that Aer's own compiler writes, and the places of expressions in it.

    From a copy, because it writes zeros into the instructions of some kinds.
    """
    listed = assemble._Listed(circuit.copy())
    program, index_map = assemble._recording_compiler().assemble_circuit(listed)
    return program, list(assemble._places(circuit, index_map))


def comparable(calls):
    """Calls with numbers as floats, and -0.0 told from 0.0."""
    return [
        (name, [[float(v) for v in arg] if name == "gate" and at == 2 else arg
                for at, arg in enumerate(args)])
        for name, args in calls
    ]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(standard_circuits())
def test_columns_make_the_calls_that_aers_compiler_makes(circuit):
    found, places = columns.read(circuit)
    program, expected = by_aer(circuit)
    assert repr(comparable(found.calls())) == repr(comparable(program.calls()))
    assert places == expected
    assert assemble._header(circuit, found) == program.header
    assert (found.num_qubits, found.num_memory) == (program.num_qubits, program.num_memory)
    assert repr(found.global_phase_angle) == repr(program.global_phase_angle)


@settings(max_examples=200, deadline=None)
@given(standard_circuits(parameters=False), st.sampled_from(list(NOISES)), st.booleans(),
       st.sampled_from([3, 50]), st.sampled_from(["automatic", "statevector", "density_matrix"]),
       st.lists(st.text("IXYZ", min_size=5, max_size=5), max_size=2, unique=True))  # fmt: skip
def test_columns_and_calls_lead_to_one_prediction(circuit, noise, bound, shots, method, paulis):
    paulis = tuple(dict.fromkeys(pauli[: circuit.num_qubits] for pauli in paulis))
    found, _ = columns.read(circuit, paulis=paulis)
    program, _ = by_aer(assemble._with_saves(circuit, paulis))
    model = NOISES[noise]()
    facts = NoiseFacts.of(model.to_dict(serializable=True) if model else {})
    config = {"shots": shots, "method": method}
    assert predict(found, config, facts, bound=bound) == predict(
        program, config, facts, bound=bound
    )


def _custom(name, qubits=1):
    return lambda c: c.append(Gate(name, qubits, []), range(qubits))


ONLY_AER = {
    "a label": lambda c: c.append(HGate(label="mine"), [0]),
    "a label of a measurement": lambda c: c.append(Measure(label="mine"), [0], [0]),
    "an open control": lambda c: c.append(CXGate(ctrl_state=0), [0, 1]),
    "a gate of the user's with a standard name": _custom("h"),
    "a gate of the user's": _custom("mine", 2),
    "an annotated gate": lambda c: c.append(HGate().control(2, annotated=True), [0, 1, 2]),
    "a measurement of two qubits": lambda c: c.append(
        Instruction("measure", 2, 2, []), [0, 1], [0, 1]
    ),
    "a reset of two qubits": lambda c: c.append(Instruction("reset", 2, 0, []), [0, 1]),
    "a save": lambda c: c.save_state(),
    "an initialization": lambda c: c.initialize([1, 0], 0),
    "a condition": lambda c: c.if_test((c.clbits[0], 1), bell(), [0, 1], [0, 1]),
    "a delay": lambda c: c.delay(10, 0),
    "a unitary": lambda c: c.unitary(np.eye(2), 0),
    "a variable": lambda c: c.add_input("flag", types.Bool()),
}


@pytest.mark.parametrize("what", ONLY_AER)
def test_what_is_not_plain_is_left_to_aers_compiler(what):
    circuit = QuantumCircuit(3, 3)
    assert columns.read(circuit) is not None
    ONLY_AER[what](circuit)
    assert columns.read(circuit) is None


def test_gates_that_a_device_does_not_have_are_left_to_aers_compiler():
    assert columns.read(bell(), {"cx"}) is None
    assert columns.read(bell(), {"cx", "h"}) is not None


def test_a_circuit_that_is_changed_between_two_runs_is_not_taken_for_what_it_was():
    circuit = parameterised()
    binds = [{circuit.parameters[0]: [0.1, 0.2]}]
    changes = [
        lambda: circuit.x(0),
        lambda: circuit.data.pop(0),
        circuit.clear,
        lambda: circuit.rx(next(iter(binds[0])), 0),
    ]
    for change in changes:
        in_pieces([circuit], binds if circuit.num_parameters else None, seed_simulator=1)
        change()
        circuit.measure(0, 0)
        assert_same([circuit], binds if circuit.num_parameters else None, seed_simulator=1)


@pytest.mark.parametrize("pauli", ["-ZZ", "Z", "ZZZ", "", "zz", "iZZ", "00", "+I"])
def test_paulis_given_as_data_are_those_of_instructions_or_refused(pauli):
    circuit = bell().remove_final_measurements(inplace=False)
    assert columns.read(circuit, paulis=(pauli,)) is None
    assert columns.read(circuit, paulis=("ZZ",)) is not None


def test_expressions_that_are_equal_but_built_otherwise_have_their_own_bits():
    a, b, c = (Parameter(name) for name in "abc")
    circuit = QuantumCircuit(2)
    for left, right in (((a + b) + c, a + (b + c)), (a * b * c, a * (b * c))):
        circuit.rx(left, 0)
        circuit.ry(right, 1)
        circuit.rx(right, 0)
        circuit.ry(left, 1)
    circuit.save_statevector()
    rows = np.random.default_rng(1).random((40, 3))
    binds = {p: rows[:, i] for i, p in enumerate((a, b, c))}
    assert_same([circuit], [binds], seed_simulator=1)


@pytest.mark.parametrize("angle", [math.nan, math.inf, 1e308])
def test_angles_without_a_meaning_are_left_to_aer(angle):
    circuit = QuantumCircuit(1)
    circuit.h(0)
    circuit.rz(angle, 0)
    circuit.h(0)
    circuit.measure_all()
    assert_same([circuit], shots=20, seed_simulator=1)


@pytest.mark.parametrize("gate", ["crx", "cry", "crz", "cp"])
@pytest.mark.parametrize("saved", [False, True])
def test_angles_of_controlled_gates_are_bound_which_plain_aer_forgets(gate, saved):
    """Aer's compiler writes zeros into the gates that its bindings are then read from."""
    circuit, angle = QuantumCircuit(2), Parameter("a")
    circuit.h([0, 1])
    getattr(circuit, gate)(angle, 0, 1)
    circuit.ry(angle, 0)
    if saved:
        circuit.save_probabilities()
    circuit.measure_all()
    options = {"shots": 500, "seed_simulator": 1}
    expected = plain().run(circuit.assign_parameters({angle: 1.5}), **options).result()
    found = in_pieces([circuit], [{angle: [1.5]}], **options)
    assert found.get_counts() == expected.get_counts()


def test_every_parameter_of_a_gate_that_aers_compiler_writes_to_is_bound():
    circuit, angles = QuantumCircuit(2), [Parameter(name) for name in "abcd"]
    circuit.h(0)
    circuit.cu(*angles, 0, 1)
    circuit.h(0)
    circuit.save_statevector()  # not plain: Aer's compiler reads the circuit
    assert_same([circuit], [{angle: [0.3, 0.9] for angle in angles}], seed_simulator=1)


@settings(max_examples=60, deadline=None)
@given(st.lists(standard_circuits(parameters=False), min_size=1, max_size=4), st.integers(1, 3),
       st.sampled_from(["automatic", "statevector", "matrix_product_state"]),
       st.sampled_from(list(NOISES)))  # fmt: skip
def test_circuits_that_come_again_give_the_same_bits(circuits, times, method, noise):
    circuits = circuits * times
    for seed in range(2):
        assert_same(circuits, noise=NOISES[noise](), method=method, shots=20, memory=True,
                    seed_simulator=seed, sizes={"max_job_size": 2})  # fmt: skip


def test_a_saved_phase_is_that_of_its_own_circuit():
    circuits = []
    for phase in (0.0, -0.0, 0.5, 0.5, 1.0):
        circuit = QuantumCircuit(1, global_phase=phase)
        circuit.h(0)
        circuit.save_statevector()
        circuits.append(circuit)
    assert_same(circuits + circuits[::-1], seed_simulator=1)


def test_expectation_values_saved_as_data_are_those_of_instructions():
    circuit, paulis = bell().remove_final_measurements(inplace=False), ("ZZ", "XX", "II", "IZ")
    expected = plain().run(assemble._with_saves(circuit, paulis), seed_simulator=1).result()
    found = in_pieces([circuit], seed_simulator=1, paulis=[paulis])
    assert found.results[0].data.to_dict() == expected.results[0].data.to_dict()
