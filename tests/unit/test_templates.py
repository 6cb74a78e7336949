"""Circuits are kept for the next run, as long as they take little memory."""

import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import random_unitary

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
    templates = Templates(most=13)
    first, second, third, fourth = encoded(
        bell(), bell().compose(bell()), volume(2), saving("expval")
    )
    old, kept = templates.get(first), templates.get(second)
    assert templates.get(third) is not templates.get(third)  # more than all that may be kept
    assert templates.get(first) is old
    templates.get(fourth)
    assert templates.get(first) is old
    assert templates.get(second) is not kept


def test_matrices_and_states_are_not_kept():
    templates = Templates()
    for append in (lambda c: c.unitary(random_unitary(4, seed=1), [0, 1]),
                   lambda c: c.set_statevector([1, 0, 0, 0])):  # fmt: skip
        circuit = QuantumCircuit(2)
        append(circuit)
        circuit.save_state()
        (data,) = encoded(circuit)
        assert templates.get(data) is not templates.get(data)
