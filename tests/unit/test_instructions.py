"""Every instruction of the Aer that is installed is known, argument by argument."""

import re

import pytest
from qiskit_aer import AerError
from qiskit_aer.backends.controller_wrappers import AerCircuit

from aer_dask.compile.instructions import SIGNATURES, Call
from aer_dask.compile.noise import NoiseFacts
from aer_dask.compile.prediction import predict
from aer_dask.compile.program import INSTRUCTIONS, Program

QUBITS = "collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]"
INDEX = "typing.SupportsInt | typing.SupportsIndex"


def types_of(method):
    """The types of a method's arguments, as Aer's binding prints them."""
    text = getattr(AerCircuit, method).__doc__
    return re.findall(r"arg\d+: (.*?)(?=, arg\d+: |\) -> )", text)


def test_every_instruction_of_aer_is_in_the_table():
    assert set(SIGNATURES) == INSTRUCTIONS


@pytest.mark.parametrize("method", SIGNATURES)
def test_arguments_stand_where_aers_binding_has_them(method):
    signature, types = SIGNATURES[method], types_of(method)
    assert signature.qubits is None or types[signature.qubits] == QUBITS
    if isinstance(signature.operation, int):
        assert types[signature.operation] == "str"
    expressions = [i for i, kind in enumerate(types) if kind.endswith(".AerExpr")]
    assert expressions == [p for p in [signature.expression] if p is not None]
    registers = [] if method == "bfunc" else [i for i, kind in enumerate(types) if kind == INDEX]
    assert registers == [p for p in [signature.condition] if p is not None]


@pytest.mark.parametrize("method", sorted(INSTRUCTIONS))
def test_every_instruction_that_saves_has_a_subtype(method):
    signature = SIGNATURES[method]
    assert method.startswith("save_") == (signature.subtype is not None)
    if signature.subtype is not None:  # the last but one: the label follows
        assert (types_of(method)[signature.subtype], signature.subtype) == (
            "str", len(types_of(method)) - 2)  # fmt: skip


def test_an_instruction_that_is_not_known_is_refused_in_a_sentence():
    program = Program(
        num_qubits=2, written=[("save_fidelity", ([0, 1], "save_fidelity", "single"))]
    )
    with pytest.raises(AerError, match="instruction 'save_fidelity' that this version of aer_dask"):
        predict(program, {"shots": 1}, NoiseFacts(), bound=False)


def test_saves_of_a_subtype_without_a_rule_keep_shots_together():
    def divisible(subtype):
        calls = [
            Call("reset", ([0], -1)),
            Call("save_state", ([0], "save_statevector", subtype, "x")),
        ]
        options = {"shots": 9, "method": "statevector"}
        return predict(Program(1, written=calls), options, NoiseFacts(), bound=False).divisible

    assert divisible("list")
    assert not divisible("median")
