"""A task asks for the memory that it then takes."""

import gc

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator

from aer_dask import InsufficientMemoryError
from aer_dask.compile.memory import AMPLITUDES, ITEMS
from aer_dask.runs.experiments import BEYOND_ANY_WORKER
from aer_dask.runs.options import RunOptions
from aer_dask.worker.child import Children
from tests.circuits import bell, parameterised, plain
from tests.compiling import assemble, compiled_run

MIB = 2**20
#: What a 1 GiB worker has left for simulations.
SMALL_WORKER = 674 * MIB
#: What a child needs besides, whatever it simulates: heaps that grow, and 1 MiB chunks.
SLACK = 12 * MIB


def product(qubits, reset=False):
    """Every amplitude different from every other, so that nothing compresses."""
    circuit = QuantumCircuit(qubits)
    for qubit, angles in enumerate(np.random.default_rng(1).uniform(0.4, 2.7, (qubits, 3))):
        circuit.u(*angles, qubit)
    if reset:  # each shot on its own
        circuit.reset(0)
        circuit.u(1.1, 0.3, 0.2, 0)
    return circuit


def chain(qubits, reset=False):
    """A Clifford circuit."""
    circuit = QuantumCircuit(qubits)
    circuit.h(range(qubits))
    circuit.cx(range(qubits - 1), range(1, qubits))
    return circuit


def ending(name, *args, shots=1, start=product, **options):
    """Circuits that end with a save of all qubits, in one shot or each shot on its own."""

    def build(qubits):
        circuit = start(qubits, reset=shots > 1)
        getattr(circuit, name)(*args, **options)
        return circuit, shots

    return build


def measured(shots, start=product, reset=False):
    def build(qubits):
        circuit = start(qubits, reset=reset)
        circuit.measure_all()
        return circuit, shots

    return build


def before_the_end(name):
    def build(qubits):
        circuit, shots = ending(name)(qubits)
        circuit.h(0)
        circuit.save_expectation_value(SparsePauliOp("Z"), [0])
        return circuit, shots

    return build


def by_outcome(name):
    """Saves by the values of two classical bits."""

    def build(qubits):
        circuit = QuantumCircuit(qubits, 2)
        circuit.h(range(qubits))
        circuit.measure([0, 1], [0, 1])
        for qubit in range(qubits):
            circuit.u(0.7 + qubit / 9, 0.4, 0.2 + qubit / 7, qubit)
        getattr(circuit, name)(conditional=True)
        return circuit, 40

    return build


def amplitudes(name):
    def build(qubits):
        circuit = product(qubits)
        getattr(circuit, name)(list(range(2**qubits)))
        return circuit, 1

    return build


ZZ = SparsePauliOp("ZZ")
#: How to build circuits of each kind, with which method, of how many qubits.
KINDS = {
    "statevector": (ending("save_statevector"), "statevector", (22, 23)),
    "statevector, gates after": (before_the_end("save_statevector"), "statevector", (21, 22)),
    "statevector, each shot": (
        ending("save_statevector", shots=20, pershot=True), "statevector", (18, 19)),
    "statevector, conditional": (by_outcome("save_statevector"), "statevector", (19, 20)),
    "statevector of an MPS": (ending("save_statevector"), "matrix_product_state", (19, 20)),
    "statevector_dict": (ending("save_statevector_dict"), "statevector", (17, 18)),
    "state": (ending("save_state"), "statevector", (21, 22)),
    "probabilities": (ending("save_probabilities"), "statevector", (20, 22)),
    "probabilities of an MPS": (ending("save_probabilities"), "matrix_product_state", (19, 20)),
    "probabilities_dict": (ending("save_probabilities_dict"), "statevector", (18, 19)),
    "density_matrix": (ending("save_density_matrix"), "density_matrix", (11, 11)),
    "density_matrix, gates after": (before_the_end("save_density_matrix"), "density_matrix",
                                    (10, 11)),
    "density_matrix of a pure state": (ending("save_density_matrix"), "statevector", (11, 12)),
    "density_matrix, average of shots": (
        ending("save_density_matrix", shots=3), "statevector", (11, 11)),
    "density_matrix, each shot": (
        ending("save_density_matrix", shots=20, pershot=True), "statevector", (9, 9)),
    "density_matrix, conditional": (by_outcome("save_density_matrix"), "statevector", (10, 10)),
    "amplitudes": (amplitudes("save_amplitudes"), "statevector", (19, 20)),
    "amplitudes_squared": (amplitudes("save_amplitudes_squared"), "statevector", (19, 20)),
    "unitary": (ending("save_unitary"), "unitary", (11, 11)),
    "superop": (ending("save_superop"), "superop", (6, 6)),
    "stabilizer": (ending("save_stabilizer", start=chain), "stabilizer", (3000, 3500)),
    "variance, each shot": (
        ending("save_expectation_value_variance", ZZ, [0, 1], shots=60_000, pershot=True),
        "statevector", (2, 2)),
    "sampled shots": (measured(500_000), "statevector", (2, 6)),
    "many outcomes": (measured(150_000, start=chain), "statevector", (18, 19)),
    "only a state": (measured(1), "statevector", (22, 23)),
}  # fmt: skip
WRITTEN = ("sampled shots", "many outcomes")


def task_of(circuit, **options):
    backend = AerSimulator()
    options = {"seed_simulator": 1, **options}
    run = compiled_run(
        backend, [assemble(backend, [circuit], None, options)], RunOptions(None, 10**9)
    )
    (task,) = run.planner(1).plan().tasks
    return task, (run.payload(task), run.shared)


def peak(pid, key="VmHWM"):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(key))


def taken(sent):
    """Bytes that a task takes at most, in a child and in this process, its worker."""
    children = Children(threads=1)
    try:
        children.run("warm up", *task_of(bell())[1])
        pids = ["self", children._idle[0]._process.pid]
        gc.collect()
        before = [peak(pid, "VmRSS") for pid in pids]
        for pid in pids:
            with open(f"/proc/{pid}/clear_refs", "w") as file:
                file.write("5")
        children.run("measured", *sent)
        return sum(map(peak, pids)) - sum(before)
    finally:
        children.close()


@pytest.mark.parametrize(
    ("kind", "memory"), [*((k, False) for k in KINDS), *((k, True) for k in WRITTEN)]
)
@settings(max_examples=1, deadline=None, derandomize=True, phases=[Phase.generate],
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(data=st.data())
def test_what_each_kind_of_save_takes_was_asked_for(kind, memory, data):
    build, method, sizes = KINDS[kind]
    circuit, shots = build(data.draw(st.integers(*sizes)))
    task, sent = task_of(circuit, method=method, shots=shots, memory=memory)
    seen = taken(sent)
    assert seen > 2 * SLACK  # or the example is too small to tell
    assert 0.8 * (seen - SLACK) < task.memory < 1.5 * seen


def test_every_save_that_aer_lists_has_its_memory():
    listed = {name for name in AerSimulator._CUSTOM_INSTR[None] if name.startswith("save_")}
    assert listed - {"save_state"} == {*ITEMS, *AMPLITUDES}


def refuse(circuit, binds=None, available=SMALL_WORKER, **options):
    run = compiled_run(plain(), [assemble(plain(), [circuit], binds, options)])
    run.check_memory(run.planner(2, available).plan().tasks, available)


def test_a_saved_statevector_counts_twice():
    refuse(ending("save_statevector")(24)[0], shots=1)
    with pytest.raises(InsufficientMemoryError, match=r"circuit 0 \(25 qubits, statevector\) needs "
                       r"1\.0 GiB, results included; workers have 674 MiB"):  # fmt: skip
        refuse(ending("save_statevector")(25)[0], shots=1)


def test_what_no_worker_could_hold_is_left_to_aer():
    circuit = ending("save_statevector")(60)[0]
    refuse(circuit, shots=1, method="statevector")
    assert task_of(circuit, shots=1, method="statevector")[0].memory == 0 < BEYOND_ANY_WORKER


def test_results_of_one_task_are_held_together():
    backend, circuits = plain(), [ending("save_statevector")(20)[0]] * 6
    run = compiled_run(backend, [assemble(backend, circuits, None, {"shots": 1})], RunOptions(6))
    (task,) = run.planner(1).plan().tasks
    assert task.memory == 6 * 2 * 16 * 2**20
    tasks = run.planner(1, 100 * MIB).plan().tasks
    assert [task.memory // MIB for task in tasks] == [96, 96]


def test_rows_of_parameters_that_cannot_be_parted_are_refused_together():
    circuit = parameterised()
    circuit.remove_final_measurements()
    circuit.save_statevector()
    binds = [{next(iter(circuit.parameters)): [0.1] * 100}]
    options = {"runtime_parameter_bind_enable": True, "method": "statevector", "available": 10_000}
    with pytest.raises(InsufficientMemoryError, match="circuit 0"):
        refuse(circuit, binds, **options)
    refuse(circuit, binds, **{**options, "runtime_parameter_bind_enable": False})


def test_shots_are_cut_so_that_their_results_fit():
    circuit, _ = ending("save_statevector", shots=20, pershot=True)(16)
    backend = plain(method="statevector")
    run = compiled_run(backend, [assemble(backend, [circuit], None, {"shots": 100})])
    tasks = run.planner(1, 50 * MIB).plan().tasks
    assert max(task.memory for task in tasks) <= 50 * MIB
    assert sum(piece.shots for task in tasks for piece in task.pieces) == 100
