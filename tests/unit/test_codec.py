"""What travels is what Aer's compiler would have told a local simulator."""

import re

import numpy as np
import pytest
from qiskit_aer import AerSimulator
from qiskit_aer.backends.aer_compiler import assemble_circuits

from aer_dask.compile import codec
from aer_dask.worker.templates import build
from tests.circuits import volume, zoo
from tests.compiling import assemble

ZOO = zoo()


@pytest.mark.parametrize("kind", ZOO)
def test_a_circuit_of_every_kind_arrives_as_aer_would_assemble_it(kind):
    circuit, method = ZOO[kind]
    backend = AerSimulator(method=method)
    batch = assemble(backend, [circuit], None, {})
    arrived = build(batch.circuits[0].data).circuit

    compiled, _ = backend._compile([circuit])
    (expected,), _ = assemble_circuits(compiled)
    assert without_seed(arrived) == without_seed(expected)


def without_seed(circuit):
    return re.sub(r"seed=\d+", "", repr(circuit))  # drawn at random for every AerCircuit


def test_a_circuit_travels_in_few_bytes():
    batch = assemble(AerSimulator(), [volume(10)], None, {})
    data = batch.circuits[0].data
    assert len(data) < 22 * len(codec.decode(data).codes)  # most have three angles of 8 bytes


def test_upstreams_compiler_is_left_as_it_was():
    assemble(AerSimulator(), [ZOO["loops"][0]], None, {})
    from qiskit_aer.backends import aer_compiler, controller_wrappers

    assert aer_compiler.AerCircuit is controller_wrappers.AerCircuit
    assert aer_compiler.AerVar is controller_wrappers.AerVar


def test_large_arrays_are_sent_from_where_they_are():
    array = np.random.default_rng(1).random(2**20)
    parts = codec.frames({"a": array, "b": [array[:3], "text"]})
    assert any(np.shares_memory(np.frombuffer(part, np.uint8), array) for part in parts)
    assert sum(map(len, parts)) < array.nbytes + 1000
    assert len(codec.encode(np.zeros(2**20))) < 2**16  # what shrinks is compressed


def test_decoded_arrays_are_as_aer_gives_them():
    given = [np.arange(2**14).reshape(2**7, -1, order="F"), np.random.default_rng(1).random(2**14)]
    values = [{"arrays": given, "counts": {"0x0": 3}}, given[0], "text"]
    found = codec.decode_all(b"".join(map(codec.encode, values)))
    for value, wanted in zip([*found[0]["arrays"], found[1]], [*given, given[0]], strict=True):
        assert np.array_equal(value, wanted)
        assert value.flags.f_contiguous == wanted.flags.f_contiguous
        assert value.flags.writeable
        assert value.flags.aligned
    assert (found[0]["counts"], found[2]) == (values[0]["counts"], "text")
