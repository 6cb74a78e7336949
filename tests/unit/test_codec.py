"""What travels is what Aer's compiler would have told a local simulator."""

import re

import pytest
from qiskit_aer import AerSimulator
from qiskit_aer.backends.aer_compiler import assemble_circuits

from aer_dask.compile import codec
from aer_dask.compile.assemble import assemble
from tests.circuits import volume, zoo

ZOO = zoo()


@pytest.mark.parametrize("kind", ZOO)
def test_a_circuit_of_every_kind_arrives_as_aer_would_assemble_it(kind):
    circuit, method = ZOO[kind]
    backend = AerSimulator(method=method)
    batch = assemble(backend, [circuit], None, {})
    arrived = codec.replay(codec.decode(batch.circuits[0].data))

    compiled, _ = backend._compile([circuit])
    (expected,), _ = assemble_circuits(compiled)
    assert without_seed(arrived) == without_seed(expected)


def without_seed(circuit):
    return re.sub(r"seed=\d+", "", repr(circuit))  # drawn at random for every AerCircuit


def test_a_circuit_travels_in_few_bytes():
    batch = assemble(AerSimulator(), [volume(10)], None, {})
    data = batch.circuits[0].data
    assert len(data) < 20 * len(codec.decode(data).calls)


def test_upstreams_compiler_is_left_as_it_was():
    assemble(AerSimulator(), [ZOO["loops"][0]], None, {})
    from qiskit_aer.backends import aer_compiler, controller_wrappers

    assert aer_compiler.AerCircuit is controller_wrappers.AerCircuit
    assert aer_compiler.AerVar is controller_wrappers.AerVar
