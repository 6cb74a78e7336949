"""Circuits are kept for the next run, as long as they take little memory."""

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp, random_unitary

from aer_dask.worker.templates import Templates
from tests.circuits import bell, conditional, plain, saving, volume
from tests.compiling import assemble


def encoded(*circuits):
    return [compiled.data for compiled in assemble(plain(), list(circuits), None, {}).circuits]


@pytest.mark.parametrize("circuit", [bell(), conditional(), saving("expval")], ids=lambda c: c.name)
def test_a_circuit_that_comes_again_is_made_once(circuit):
    templates, (data,) = Templates(), encoded(circuit)
    assert templates.get(data) is templates.get(bytes(bytearray(data)))


def test_the_circuit_that_was_used_longest_ago_is_given_up():
    first, second, third = encoded(bell(), bell().compose(bell()), saving("expval"))
    templates = Templates(most=18_000)
    old, kept = templates.get(first), templates.get(second)
    assert templates.get(first) is old
    templates.get(third)
    assert templates.get(first) is old
    assert templates.get(second) is not kept


def hamiltonian(terms):
    circuit = QuantumCircuit(12)
    letters = np.random.default_rng(1).choice(list("IXYZ"), (terms, 12))
    circuit.save_expectation_value(SparsePauliOp(["".join(row) for row in letters]), range(12))
    return circuit


def amplitudes(count):
    circuit = QuantumCircuit(12)
    circuit.save_amplitudes(range(count))
    return circuit


@pytest.mark.parametrize("circuit", [volume(8), hamiltonian(500), amplitudes(1000)],
                         ids=["gates", "terms", "indices"])  # fmt: skip
def test_what_is_larger_than_all_that_may_be_kept_is_not_and_drives_nothing_out(circuit):
    small, large = encoded(bell(), circuit)
    templates = Templates(most=50_000)
    kept = templates.get(small)
    assert templates.get(large) is not templates.get(large)
    assert templates.get(small) is kept


def test_matrices_and_states_are_not_kept():
    templates = Templates()
    for append in (lambda c: c.unitary(random_unitary(4, seed=1), [0, 1]),
                   lambda c: c.set_statevector([1, 0, 0, 0])):  # fmt: skip
        circuit = QuantumCircuit(2)
        append(circuit)
        circuit.save_state()
        (data,) = encoded(circuit)
        assert templates.get(data) is not templates.get(data)
