"""A store's format gives back what it was given, bit for bit, and nothing that it was not."""

import contextlib
import math
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from qiskit_aer.noise import depolarizing_error

from aer_dask import AerSimulator
from aer_dask.compile import codec
from aer_dask.compile.bindings import Bindings
from aer_dask.compile.columns import Columns
from aer_dask.compile.program import Expression, Program
from aer_dask.runs.options import RunOptions
from aer_dask.runs.request import labels_of, request_of, restored_run
from aer_dask.store import format as form
from aer_dask.store.format import FormatError
from aer_dask.testing import differences
from aer_dask.worker.execute import simulate
from tests.circuits import ANGLE, bell, kraus_noise, parameterised, pauli_noise, zoo
from tests.compiling import assemble, compiled_run

ROOT = Path(__file__).parents[2]
ZOO = zoo()
DTYPES = st.one_of(
    npst.boolean_dtypes(),
    npst.integer_dtypes(endianness="?"),
    npst.unsigned_integer_dtypes(endianness="?"),
    npst.floating_dtypes(endianness="?"),
    npst.complex_number_dtypes(endianness="?"),
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(),
    st.binary(), npst.arrays(DTYPES, npst.array_shapes(min_dims=0, min_side=0)),
    npst.array_shapes(min_dims=2, max_dims=3).map(lambda s: np.ones(s, order="F") * 1j),
    st.floats().map(np.float64), st.integers(0, 255).map(np.uint8),
)  # fmt: skip
KEYS = st.one_of(st.text(), st.integers(), st.booleans(), st.tuples(st.integers(), st.text()))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(KEYS, inner)
    ),
    max_leaves=20,
)


def same(a, b):  # noqa: PLR0911 (a line for each type)
    """Equal in value and type, signs of zero, NaNs and the order of keys included."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()) and (
            a.flags.f_contiguous == b.flags.f_contiguous
        )
    if isinstance(a, np.generic):
        return a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return len(a) == len(b) and all(
            same(x, y) and same(a[x], b[y]) for x, y in zip(a, b, strict=True)
        )
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or struct.pack("d", a) == struct.pack("d", b)
    return a == b


def round_trip(value):
    return form.decode(b"".join(form.encode(value)))


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_plain_data_comes_back_as_it_was(value):
    assert same(round_trip(value), value)


def test_large_arrays_are_written_from_where_they_are_and_come_back_writable():
    array = np.random.default_rng(1).random((2**10, 2**7))
    value = {"c": array, "f": np.asfortranarray(array), "zeros": np.zeros(2**20)}
    parts = form.encode(value)
    assert any(np.shares_memory(np.frombuffer(part, np.uint8), array) for part in parts)
    found = form.decode(b"".join(parts))
    assert same(found, value)
    assert all(each.flags.writeable and each.flags.aligned for each in found.values())
    assert sum(map(len, parts)) < 2.1 * array.nbytes, "zeros are compressed"


@pytest.mark.parametrize("value", [
    object(), {1, 2}, lambda: 1, np.array([object()]), np.array(["text"]), [{"deep": Path("x")}],
    np.ma.array([1]),
], ids=lambda value: type(value).__name__)  # fmt: skip
def test_what_cannot_be_held_is_named(value):
    with pytest.raises(FormatError, match="a store cannot hold"):
        form.encode(value)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_an_object_that_was_changed_anywhere_or_cut_off_is_refused(data):
    whole = b"".join(form.encode({"counts": {"0x0": 3}, "array": np.arange(2**14)}))
    at = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(FormatError):
        form.decode(whole[:at])
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FormatError):
        form.decode(changed)


@settings(max_examples=200, deadline=None)
@given(st.binary() | VALUES.map(lambda v: b"".join(map(bytes, form.frames(v)))), st.data())
def test_whatever_somebody_writes_with_a_right_digest_gives_a_value_or_an_error(body, data):
    body = bytearray(body)
    for _ in range(data.draw(st.integers(0, 3))):
        if body:
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FormatError):
        form.decode(sealed(bytes(body)))


def sealed(body):
    return b"".join(form.sealed([body]))


def extension(code, *values):
    return msgpack.packb(msgpack.ExtType(code, msgpack.packb(list(values))))


def nested(levels):
    """Lists within lists, each of which claims to have as many entries as there are bytes."""
    return b"".join(b"\xdd" + struct.pack(">I", 2**19) for _ in range(levels)) + bytes(2**19)


HOSTILE = {
    "a frame of nothing": sealed(b""),
    "a bomb": sealed(bytes(2**28)),
    "nested claims": sealed(nested(1000)),
    "deep": sealed(b"\x91" * 10**6 + b"\x00"),
    "deep codes": None,
    "an array of objects": sealed(extension(form._ARRAY, "|O", [1], "C", bytes(8))),
    "an array larger than its bytes": sealed(extension(form._ARRAY, "<f8", [2**40], "C", bytes(8))),
    "an array of no size": sealed(extension(form._ARRAY, "<f8", [-1], "C", bytes(8))),
    "an array that is elsewhere": sealed(extension(form._LARGE_ARRAY, "<f8", [1], "C", 0)),
    "a class of another name": sealed(extension(form._OBJECT, "os.system", "true")),
    "a program of other calls": sealed(
        form.frames(Program(written=[("__init__", ())]))[0]),
    "an expression of another kind": sealed(
        form.frames(Expression("aer_controller_execute", ()))[0]),
    "a circuit on qubits that it lacks": sealed(
        form.frames(Columns(1, 0, 0.0, b"\x09", b"\xff\xff", b"", b""))[0]),
    "a circuit that saves on qubits that it lacks": sealed(
        form.frames(Columns(1, 0, 0.0, b"", b"", b"", b"", ("Z" * 4000,)))[0]),
    "a circuit that saves what is none": sealed(
        form.frames(Columns(1, 0, 0.0, b"", b"", b"", b"", ("W",)))[0]),
    "values of no places": sealed(form.frames(Bindings(*np.ones((3, 1), int), np.ones((1, 1))))[0]),
    "values of other types": sealed(
        form.frames(Bindings(*np.ones((3, 1), int), np.ones((1, 2), complex)))[0]),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_objects_give_an_error_and_take_no_memory(kind):
    data = HOSTILE[kind]
    if kind == "deep codes":
        inner = b"\x00"
        for _ in range(3000):
            inner = msgpack.packb(msgpack.ExtType(form._TUPLE, b"\x91" + inner))
        data = sealed(inner)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FormatError):
        form.decode(data, most=2**24)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100 * 2**10, "KiB"


def test_a_frame_that_claims_more_than_it_can_hold_is_refused():
    (head, *body) = form.sealed([bytes(2**20)])
    for claimed in (0, 2**40, 2**20 - 1, 2**20 + 1):
        frame = form._FRAME.pack(len(body[1]), claimed), body[1]
        head = form._HEAD.pack(form._MAGIC, form.FORMAT, bytes.fromhex(form.digest(frame)))
        with pytest.raises(FormatError, match="frame"):
            form.decode(b"".join([head, *frame]))


@pytest.mark.parametrize("kind", ZOO)
def test_a_circuit_of_every_kind_is_made_again_from_its_request(kind):
    circuit, method = ZOO[kind]
    backend = AerSimulator(method=method)
    options = {"shots": 20, "seed_simulator": 3, "memory": True}
    run = compiled_run(backend, [assemble(backend, [circuit, circuit], None, options)])
    again = again_from(run, backend)
    assert [e.prediction for e in again.experiments] == [e.prediction for e in run.experiments]
    assert differences(result(again), result(run)) == []


def test_rows_of_parameters_and_errors_in_circuits_are_made_again():
    noisy = bell()
    noisy.append(depolarizing_error(0.3, 1).to_instruction(), [0])
    noisy.measure(0, 0)
    backend = AerSimulator(noise_model=pauli_noise())
    options = {"shots": 20, "seed_simulator": 3, "memory": True}
    batch = assemble(backend, [noisy, parameterised()], [{}, {ANGLE: [0.1, 0.7]}], options)
    run = compiled_run(backend, [batch])
    assert differences(result(again_from(run, backend)), result(run)) == []


def test_a_request_with_other_options_than_aers_is_refused():
    backend = AerSimulator()
    run = compiled_run(backend, [assemble(backend, [bell()], None, {"seed_simulator": 1})])
    request, labels = form.value_of(request_of(run)), form.value_of(labels_of(run))
    for option in ("__class__", "_private", "unheard_of"):
        request["configs"][0][option] = "anything"
        with pytest.raises(FormatError, match=option):
            restored_run(request, labels, backend, run.costs)
        del request["configs"][0][option]
    restored_run(request, labels, backend, run.costs)
    for key in ("batches", "configs", "noises", "programs", "independent", "noise_sampling"):
        damaged = {name: value for name, value in request.items() if name != key}
        with pytest.raises(FormatError, match=key):
            restored_run(damaged, labels, backend, run.costs)


def again_from(run, backend):
    request = form.value_of([bytearray(part) for part in request_of(run)])
    labels = form.value_of(labels_of(run))
    again = restored_run(request, labels, backend, run.costs)
    assert address(again) == address(run)
    return again


def results(run):
    from aer_dask.runs.collect import Collector

    collector = Collector(run)
    for task in run.planner(2).plan().tasks:
        collector.add(task, simulate(run.payload(task), run.shared))
    return collector.results("job", 0.0)


def result(run):
    return results(run)[0]


def address(run):
    return form.digest(request_of(run))


def addresses():
    """Of runs of all kinds, made anew; another process prints them."""
    found = []
    for circuit, method in zoo().values():
        backend = AerSimulator(method=method, noise_model=pauli_noise())
        options = {"shots": 7, "seed_simulator": 3}
        if method == "automatic":
            found.append(address(compiled_run(backend, [
                assemble(backend, [circuit, bell()], None, options)])))  # fmt: skip
    backend = AerSimulator()
    binds = [{ANGLE: [0.1, 0.7]}, {}]
    batch = assemble(backend, [parameterised(), bell()], binds, {"seed_simulator": 1, "shots": 9})
    return [*found, address(compiled_run(backend, [batch, batch]))]


def test_the_address_is_the_same_in_another_process():
    program = "from tests.unit.test_store_format import addresses; print(*addresses())"
    other_seed = str(int(os.environ.get("PYTHONHASHSEED", "1").replace("random", "1")) + 1)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], cwd=ROOT, check=True, text=True,
        capture_output=True, env=os.environ | {"PYTHONHASHSEED": other_seed},
    )  # fmt: skip
    found = done.stdout.split()
    assert found == addresses()
    assert len(set(found)) == len(found) > 20


def test_the_address_follows_what_decides_the_bits_and_nothing_else():
    def of(circuit=None, noise=None, options=None, backend=None, **run_options):
        backend = AerSimulator(noise_model=noise, **(backend or {}))
        run_options = {"shots": 10, "seed_simulator": 1, **run_options}
        batch = assemble(backend, [circuit or bell()], None, run_options)
        return address(compiled_run(backend, [batch], options))

    named = bell("other name")
    named.metadata = {"anything": object}
    same_bits = [
        of(),
        of(named),
        of(seed_simulator=1, shots=10),
        of(options=RunOptions(max_job_size=1, max_shot_size=3, prefix_sharing=False)),
    ]
    assert len(set(same_bits)) == 1
    set_elsewhere = {"seed_simulator": 1, "max_parallel_threads": 1}
    assert of(backend=set_elsewhere) == of(max_parallel_threads=1)
    other = bell()
    other.x(0)
    others = [of(other), of(noise=pauli_noise()), of(shots=11), of(seed_simulator=2),
              of(method="statevector"), of(memory=True), of(options=RunOptions(independent=True)),
              of(options=RunOptions(independent=True, max_shot_size=3)),
              of(options=RunOptions(noise_sampling="auto"))]  # fmt: skip
    assert len({same_bits[0], *others}) == 1 + len(others)


def test_each_batch_of_a_run_has_its_own_circuits_noise_and_options():
    other = bell()
    other.x(0)

    def run_of(*batches):
        backend = AerSimulator()
        return compiled_run(backend, [
            assemble(backend, [circuit], None,
                     {"shots": 50, "noise_model": noise, "seed_simulator": seed})
            for circuit, noise, seed in batches
        ])  # fmt: skip

    one, two = (bell(), pauli_noise(), 1), (other, kraus_noise(), 2)
    first_alike = (*one[:2], 2), (one[0], two[1], 1), (two[0], *one[1:])
    # all of these runs have the same circuits, noise models and options, each some number of times
    runs = [run_of(one, two, third) for third in (one, two, *first_alike)]
    assert len({address(run) for run in runs}) == len(runs)
    for run in runs:
        again = again_from(run, AerSimulator())
        for found, wanted in zip(results(again), results(run), strict=True):
            assert differences(found, wanted) == []


def test_bindings_that_do_not_belong_to_a_circuit_are_refused():
    backend = AerSimulator()
    batch = assemble(backend, [parameterised()], [{ANGLE: [0.1, 0.7]}], {"seed_simulator": 1})
    run = compiled_run(backend, [batch])
    request, labels = form.value_of(request_of(run)), form.value_of(labels_of(run))
    request["batches"][0][2][0][-1] = np.ones(1)
    with pytest.raises(FormatError, match="of another shape"):
        restored_run(request, labels, backend, run.costs)


class Anywhere:
    """An object whose text says where in memory it is."""


def test_labels_are_the_same_wherever_an_object_is_in_memory():
    def labels():
        circuit, backend = bell(), AerSimulator()
        circuit.metadata = {"mine": (Anywhere(), Anywhere())}
        return labels_of(compiled_run(backend, [assemble(backend, [circuit], None, {})]))

    one, other = labels(), [Anywhere(), labels()][1]
    assert one == other


def test_labels_that_cannot_be_held_are_kept_as_text():
    circuit = bell()
    circuit.metadata = {"kept": (1, 2)}
    odd = bell()
    odd.metadata = {"path": Path("x")}
    backend = AerSimulator()
    run = compiled_run(backend, [assemble(backend, [circuit, odd], None, {})])
    (labels,) = form.value_of(labels_of(run))
    assert [each["metadata"] for each in labels] == [{"kept": (1, 2)}, str({"path": Path("x")})]


def test_nothing_of_a_store_is_unpickled():
    source = (ROOT / "src" / "aer_dask" / "store").rglob("*.py")
    assert not [path for path in source if "pickle" in path.read_text().split('"""', 2)[2]]
    begun = b"\x80\x05"  # as pickle writes
    assert begun in codec.encode([1, (2,), 3j])
    assert begun not in b"".join(form.frames([1, (2,), 3j]))
