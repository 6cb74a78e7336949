"""Shots that share trajectories have the exact distribution, rule by rule and error by error."""

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit.classical import expr
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import Operator, Pauli, SparsePauliOp, Statevector
from qiskit_aer import AerError
from qiskit_aer.noise import (
    NoiseModel,
    amplitude_damping_error,
    coherent_unitary_error,
    depolarizing_error,
)

from aer_dask.compile import codec
from aer_dask.compile.columns import KINDS
from aer_dask.trajectories.circuit import NoisyCircuit
from aer_dask.trajectories.draws import Draws
from aer_dask.trajectories.engine import AMPLITUDES, Engine, State
from aer_dask.trajectories.readout import write
from aer_dask.trajectories.rules import Rules
from aer_dask.trajectories.sampling import sample
from aer_dask.trajectories.saves import mean
from aer_dask.trajectories.simulation import simulate
from aer_dask.trajectories.traversal import Traversal
from tests import circuits
from tests.circuits import plain
from tests.compiling import assemble
from tests.noises import (
    NOISES,
    READOUT,
    RELAXATION,
    RESETS,
    all_rules,
    flip,
    in_the_middle,
    model,
    unitary,
)
from tests.statistics import (
    counts_of,
    exact_distribution,
    exact_state,
    p_value,
    two_sample_p_value,
)

SHOTS = 5000
STANDARD = get_standard_gate_name_mapping()
#: The seeds are fixed: a test that passes does so always. This is for choosing them without care.
LEVEL = 1e-3


def noisy(circuit, noise):
    """The circuit and its noise, read from what Aer's compiler makes of them."""
    batch = assemble(plain(noise), [circuit], None, {})
    return NoisyCircuit.of(codec.decode(batch.circuits[0].data), Rules(batch.noise))


def simulated(circuit, shots, draws, part=0, parts=1):
    """Some part of the shots of a circuit."""
    return simulate(circuit, sample(circuit, shots, draws), draws, part, parts)


def memory(shots, count=SHOTS):
    """The classical bits of each shot, as numbers, in order."""
    values = shots.bits @ (1 << np.arange(shots.bits.shape[1]))
    found = np.full(count, -1)
    found[shots.indices] = values
    return found


def counted(circuit, noise, shots=SHOTS, seed=1):
    """How often each value of the classical bits comes out."""
    found = memory(simulated(noisy(circuit, noise), shots, Draws(seed, 0)), shots)
    return np.bincount(found, minlength=2**circuit.num_clbits)


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_distribution_is_that_of_the_density_matrix(kind, seed):
    circuit, noise = all_rules(seed), NOISES[kind]()
    distribution = exact_distribution(circuit, noise)
    assert p_value(counted(circuit, noise, seed=seed), distribution) > LEVEL


@pytest.mark.parametrize("kind", NOISES)
def test_counts_are_those_of_plain_aer_with_another_seed(kind):
    circuit, noise = all_rules(3), NOISES[kind]()
    aer = plain(noise, method="statevector", seed_simulator=10**9)
    expected = counts_of(aer, circuit, shots=3000)
    assert two_sample_p_value(counted(circuit, noise), expected) > LEVEL


@pytest.mark.parametrize("kind", NOISES)
def test_the_noise_is_found_missing(kind):
    distribution = exact_distribution(all_rules(1), NOISES[kind]())
    assert p_value(counted(all_rules(1), NoiseModel(), 40_000), distribution) < 1e-9


def test_a_probability_that_is_wrong_by_a_twentieth_is_found():
    circuit = QuantumCircuit(3)
    for _ in range(6):
        circuit.cx(0, 1)
        circuit.cx(1, 2)
    circuit.measure_all()
    right, wrong = (model((depolarizing_error(p, 2), "cx")) for p in (0.06, 0.063))
    counts, distribution = counted(circuit, wrong, 100_000), exact_distribution(circuit, right)
    assert p_value(counts, distribution) < LEVEL
    assert p_value(counts, exact_distribution(circuit, wrong)) > LEVEL


@pytest.mark.parametrize("kind", NOISES)
def test_shots_come_out_the_same_however_they_are_cut(kind):
    circuit = noisy(all_rules(2), NOISES[kind]())
    whole = memory(simulated(circuit, 1000, Draws(5, 2)), 1000)
    for parts in (2, 3, 7):
        cut = [simulated(circuit, 1000, Draws(5, 2), part, parts) for part in range(parts)]
        assert sorted(np.concatenate([part.indices for part in cut])) == list(range(1000))
        found = np.max([memory(part, 1000) for part in cut], axis=0)
        assert np.array_equal(found, whole)


class Recorded(Traversal):
    """Keeps the final state of each group of shots, by the first of them."""

    def __init__(self, *args):
        super().__init__(*args)
        self.states = {}

    def _draw(self, members):
        self.states[min(shots[0] for _, shots in members)] = self._engine.unload()
        super()._draw(members)


@pytest.mark.parametrize("kind", ["depolarizing", "relaxation by resets"])
def test_states_have_the_same_bits_however_patterns_are_cut(kind):
    circuit, draws = noisy(all_rules(2, qubits=7, depth=60), NOISES[kind]()), Draws(5, 2)
    patterns = sample(circuit, 60, draws)
    members = list(patterns.shots.items())

    def states(parts):
        walks = [Recorded(circuit, patterns, draws) for _ in parts]
        for walk, part in zip(walks, parts, strict=True):
            walk.walk(part)
        return {shot: state for walk in walks for shot, state in walk.states.items()}

    whole, alone = states([members]), states([[member] for member in members])
    assert len(whole) > 10
    assert whole.keys() == alone.keys()
    assert all(state.order == alone[shot].order for shot, state in whole.items())
    assert all(np.array_equal(state.amplitudes, alone[shot].amplitudes)
               for shot, state in whole.items())  # fmt: skip


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name not in ("measure", "reset")])
def test_gates_have_aers_matrices(kind):
    circuit = QuantumCircuit(3)
    angles = np.random.default_rng(2).uniform(0.2, 3, 20)
    for qubit in range(3):
        circuit.u(*angles[3 * qubit : 3 * qubit + 3], qubit)
    gate = STANDARD[kind.name].base_class(*angles[9 : 9 + kind.params])
    circuit.append(gate, [2, 0, 1][: kind.qubits])
    for qubit in range(3):
        circuit.u(*angles[10 + 3 * qubit : 13 + 3 * qubit], qubit)
    circuit.measure_all()
    read, state = noisy(circuit, None), Engine(3)
    state.load(State.ground(3, "double"))
    for block in read.blocks:
        for step in block.steps({}):
            state.apply(step.qubits, step.operators[0])
    outcomes = np.arange(8)
    bits = np.zeros((8, 3), int)
    for number, measured in enumerate(read.measurements):
        write(bits, outcomes, (outcomes >> measured.qubit) & 1, number, measured, Draws(0, 0))
    found = np.zeros(8)
    found[bits @ [1, 2, 4]] = abs(state.state.vector()) ** 2
    circuit.remove_final_measurements()
    circuit.save_statevector()
    state = plain(method="statevector").run(circuit).result().get_statevector()
    assert np.allclose(found, state.probabilities())


def test_seeds_and_experiments_have_numbers_of_their_own():
    shots = np.arange(5000)
    streams = [Draws(*key).uniform(stream, shots) for key in [(1, 0), (2, 0), (1, 1), (2114, 0)]
               for stream in ("a", "b")]  # fmt: skip
    correlations = np.corrcoef(streams) - np.eye(len(streams))
    assert abs(correlations).max() < 0.06
    assert all(p_value(np.histogram(s, 50, (0, 1))[0], np.full(50, 0.02)) > LEVEL for s in streams)


def saving():
    circuit = QuantumCircuit(1)
    circuit.h(0)
    circuit.save_expectation_value(Pauli("Z"), [0])
    circuit.h(0)
    circuit.measure_all()
    return circuit


def repeating():
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.while_loop(expr.lift(circuit.clbits[0])):
        circuit.h(0)
        circuit.measure(0, 0)
    return circuit


def initialized():
    circuit = QuantumCircuit(1, 1)
    circuit.initialize([0.6, 0.8], 0)
    circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "what"),
    [
        (circuits.loops, "classical variables"),
        (repeating, "conditions that are expressions"),
        (saving, "operations after what is saved"),
        (initialized, '"initialize"'),
        (lambda: circuits.saving("statevector"), "save_statevector"),
        (lambda: QuantumCircuit(1), "a circuit without measurements"),
    ],
)
def test_what_shots_cannot_share_is_named(circuit, what):
    with pytest.raises(AerError, match=f'noise_sampling="shared" cannot do .*{what}'):
        noisy(circuit(), NOISES["depolarizing"]())


@pytest.mark.parametrize("kind", NOISES)
def test_measurements_and_resets_in_the_middle_have_the_right_distribution(kind):
    circuit, noise = in_the_middle(), NOISES[kind]()
    distribution = exact_distribution(circuit, noise)
    assert distribution.sum() == pytest.approx(1)
    assert p_value(counted(circuit, noise), distribution) > LEVEL


def branching(seed=1):
    """Branches that depend on bits and registers, in one another, with measurements in them."""
    generator = np.random.default_rng(seed)
    a, b = ClassicalRegister(2, "a"), ClassicalRegister(3, "b")
    circuit = QuantumCircuit(QuantumRegister(3), a, b)

    def gates():
        q, r = generator.permutation(3)[:2].tolist()
        circuit.rx(generator.uniform(0, 3), q)
        circuit.cx(q, r)
        circuit.sx(r)

    circuit.h([0, 1, 2])
    circuit.cx(0, 1)
    circuit.measure([0, 1], a)
    with circuit.if_test((a[0], 1)) as otherwise:
        gates()
        circuit.measure(2, b[0])
        with circuit.if_test((b, 0)):
            gates()
            circuit.reset(0)
    with otherwise:
        gates()
        circuit.measure(1, b[1])
        circuit.x(1)
    gates()
    with circuit.switch(a) as case:
        with case(1, 2):
            gates()
        with case(3):
            circuit.measure(0, b[2])
        with case(case.DEFAULT):
            circuit.h([0, 1, 2])
    with circuit.for_loop(range(3)):
        circuit.sx(1)
        circuit.measure(1, b[0])
        with circuit.if_test((b[0], 1)):
            circuit.break_loop()
        circuit.h(1)
    gates()
    circuit.measure([0, 2], [b[1], b[2]])
    return circuit


@pytest.mark.parametrize("kind", NOISES)
def test_branches_have_the_distribution_of_plain_aer(kind):
    circuit, noise = branching(), NOISES[kind]()
    aer = plain(noise, method="statevector", seed_simulator=10**9)
    expected = counts_of(aer, circuit, shots=5000)
    assert two_sample_p_value(counted(circuit, noise), expected) > LEVEL


@pytest.mark.parametrize("circuit", [branching, in_the_middle, circuits.switch])
def test_shots_with_measurements_in_the_middle_come_out_the_same_however_they_are_cut(circuit):
    noise = model((depolarizing_error(0.1, 1), "h sx x measure"), (flip("XZ", 0.1), "cx"))
    read = noisy(circuit(), noise)
    whole = memory(simulated(read, 1000, Draws(5, 2)), 1000)
    cut = [memory(simulated(read, 1000, Draws(5, 2), part, 3), 1000) for part in range(3)]
    assert np.array_equal(np.max(cut, axis=0), whole)


def test_a_second_measurement_is_of_the_same_value():
    circuit = QuantumCircuit(2, 3)
    circuit.h(0)
    circuit.measure([0, 0, 1], [0, 2, 1])
    noise = model((depolarizing_error(0.1, 1), "h"), readout=READOUT)
    assert set(np.flatnonzero(counted(circuit, NoiseModel()))) == {0b000, 0b101}
    assert p_value(counted(circuit, noise), exact_distribution(circuit, noise)) > LEVEL
    noise = model((depolarizing_error(0.1, 1), "measure"))
    assert p_value(counted(circuit, noise), exact_distribution(circuit, noise)) > LEVEL


def with_averages(circuit):
    """Without its measurements, and with expectation values and probabilities saved."""
    circuit = circuit.remove_final_measurements(inplace=False)
    circuit.save_expectation_value(Pauli("XZ"), [2, 0], label="pauli")
    operator = SparsePauliOp(["XYZI", "IZZX", "IIII"], [20.0, -3.5, 0.25])
    circuit.save_expectation_value(operator, range(4), label="operator")
    circuit.save_probabilities([3, 1], label="probabilities")
    return circuit


def averages(circuit, shots, parts=1):
    """What is saved, put together from parts."""
    sums = {}
    for part in range(parts):
        for label, each in simulated(circuit, shots, Draws(3, 0), part, parts).sums.items():
            sums[label] = sums.get(label, 0) + each.digits
    scales = {average.label: average.scale for average in circuit.averages}
    return {label: mean(scales[label], digits, shots) for label, digits in sums.items()}


@pytest.mark.parametrize("kind", ["depolarizing", "relaxation in Kraus form", "resets"])
def test_what_is_saved_is_averaged_over_trajectories(kind):
    circuit, noise, shots = all_rules(2), NOISES[kind](), 20_000
    state = exact_state(circuit.remove_final_measurements(inplace=False), noise)
    found = averages(noisy(with_averages(circuit), noise), shots)
    error = 4 / np.sqrt(shots)
    assert found["pauli"] == pytest.approx(
        state.expectation_value(Pauli("XZ"), [2, 0]).real, abs=error
    )
    operator = SparsePauliOp(["XYZI", "IZZX", "IIII"], [20.0, -3.5, 0.25])
    assert found["operator"] == pytest.approx(
        state.expectation_value(operator).real, abs=error * 24
    )
    assert found["probabilities"] == pytest.approx(state.probabilities([3, 1]), abs=error)


def test_what_is_saved_has_the_same_bits_however_shots_are_cut():
    circuit = noisy(with_averages(all_rules(2)), NOISES["relaxation in Kraus form"]())
    whole = averages(circuit, 3000)
    for parts in (2, 5):
        cut = averages(circuit, 3000, parts)
        assert all(np.array_equal(whole[label], cut[label]) for label in whole)


def test_measurements_beside_what_is_saved_see_the_same_state():
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure(0, 0)  # which settles the other qubit, too
    circuit.save_expectation_value(Pauli("Z"), [1], label="z")
    circuit.measure(1, 1)
    shots = simulated(noisy(circuit, NoiseModel()), 2000, Draws(1, 0))
    bits = memory(shots, 2000)
    assert set(bits) == {0b00, 0b11}
    z = mean(1.0, shots.sums["z"].digits, 2000)
    assert z == pytest.approx(1 - 2 * np.mean(bits == 0b11), abs=1e-12)


ERRORS = {
    "depolarizing": (depolarizing_error(0.1, 1), depolarizing_error(0.15, 2)),
    "resets": (RESETS, RESETS.tensor(RESETS)),
    "relaxation": (RELAXATION, RELAXATION.tensor(RELAXATION)),
    "damping": (amplitude_damping_error(0.2), amplitude_damping_error(0.2).tensor(RESETS)),
    "coherent": (coherent_unitary_error(unitary(1, 1)), coherent_unitary_error(unitary(2, 1))),
}


@st.composite
def noises(draw):
    """Noise models of errors of all qubits and of some, and readout errors."""
    noise = NoiseModel()
    kinds = st.sampled_from(list(ERRORS))
    for names, width in [(["h", "t", "sx", "measure"], 1), (["cx", "rzz"], 2)]:
        for kind in draw(st.lists(kinds, max_size=2)):
            chosen = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
            qubits = draw(st.permutations(range(4)))[:width]
            if draw(st.booleans()):
                noise.add_all_qubit_quantum_error(ERRORS[kind][width - 1], chosen, warnings=False)
            else:
                noise.add_quantum_error(ERRORS[kind][width - 1], chosen, qubits, warnings=False)
    if draw(st.booleans()):
        noise.add_all_qubit_readout_error(READOUT)
    return noise


@st.composite
def four_qubits(draw):
    """Circuits of four qubits, some measured or reset in the middle."""
    circuit = QuantumCircuit(4, 4)
    names = ["h", "t", "sx", "cx", "rzz", "ccx", "barrier", "measure", "reset"]
    for name in draw(st.lists(st.sampled_from(names), min_size=3, max_size=25)):
        q, r, s = draw(st.permutations(range(4)))[:3]
        match name:
            case "cx":
                circuit.cx(q, r)
            case "rzz":
                circuit.rzz(0.7, q, r)
            case "ccx":
                circuit.ccx(q, r, s)
            case "measure":
                if circuit.count_ops().get("measure", 0) < 2:
                    circuit.measure(q, r)
            case "barrier":
                circuit.barrier()
            case _:
                getattr(circuit, name)(q)
    measured = draw(st.permutations(range(4)))[: draw(st.integers(1, 4))]
    circuit.measure(measured, measured[::-1])
    return circuit


@settings(max_examples=50, deadline=None, derandomize=True)
@given(four_qubits(), noises(), st.integers(0, 2**62))
def test_random_circuits_have_the_right_distribution(circuit, noise, seed):
    note(f"{circuit}\n{noise}")
    found = memory(simulated(noisy(circuit, noise), 2000, Draws(seed, 0)), 2000)
    counts = np.bincount(found, minlength=16)
    assert p_value(counts, exact_distribution(circuit, noise)) > 1e-5


def test_a_product_has_the_same_bits_with_any_number_of_threads():
    begin = State(np.random.default_rng(1).normal(size=2**18) + 1j, tuple(range(18)))
    states = []
    for threads in (1, 2, 3):
        engine = Engine(18, threads)
        engine.load(begin)
        for qubits in ((3, 12), (15, 0), (7,)):
            engine.apply(qubits, unitary(len(qubits), 7))
        states.append(engine.unload())
    assert all(np.array_equal(states[0].amplitudes, other.amplitudes) for other in states)


def test_a_worker_that_gives_no_number_of_threads_gives_those_of_openmp(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(64))
    assert Engine(4, 0).threads == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert Engine(4, 0).threads == 64


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("width", [1, 4, 9, 15])
def test_a_state_is_multiplied_as_qiskit_does_it(width, precision):
    generator = np.random.default_rng(width)
    order = tuple(generator.permutation(width).tolist())
    engine = Engine(width, 1, precision)
    amplitudes = generator.normal(size=2**width) + 1j
    begin = State(amplitudes.astype(AMPLITUDES[precision]), order)
    for _ in range(2):  # it can be used again
        engine.load(begin)
        expected = Statevector(begin.vector())
        for number in range(8):
            qubits = tuple(generator.permutation(width)[: 1 + number % min(width, 3)].tolist())
            matrix = unitary(len(qubits), number) * 1.5  # not unitary
            engine.apply(qubits, matrix)
            expected = expected.evolve(Operator(matrix), qubits)
        found = engine.state.vector()
        assert found.dtype == AMPLITUDES[precision]
        digits = {"double": 1e-12, "single": 1e-4}[precision]
        assert np.allclose(found, expected.data, atol=abs(expected.data).max() * digits, rtol=0)
    assert np.array_equal(begin.amplitudes.imag, np.ones(2**width))
