"""The methods of ``AerCircuit``, one by one: where each takes its qubits, condition and subtype.

All that the package knows of positions among arguments. The signatures are bound to Python in
qiskit-aer's backends/wrappers/aer_circuit_binding.hpp, and a test holds the table to those of the
Aer that is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from qiskit_aer import AerError


class Signature(NamedTuple):
    """Positions among the arguments of a method; None for what it does not take.

    ``operation`` is the name in Aer's tables of instructions, or the position of that name; None
    for what no table lists. ``condition`` is an index of a classical register, negative for none,
    and ``expression`` a classical expression or None.
    """

    operation: str | int | None
    qubits: int | None = 0
    condition: int | None = None
    expression: int | None = None
    subtype: int | None = None


SIGNATURES = {
    "barrier": Signature(None),
    "bfunc": Signature(None, qubits=None),
    "diagonal": Signature("diagonal", condition=2),
    "gate": Signature(0, qubits=1, condition=4, expression=5),
    "initialize": Signature("initialize"),
    "jump": Signature(None, condition=2, expression=3),
    "kraus": Signature("kraus", condition=2, expression=3),
    "mark": Signature(None),
    "measure": Signature(None),
    "multiplexer": Signature("multiplexer", condition=2, expression=3),
    "reset": Signature("reset", condition=1),
    "roerror": Signature("roerror"),
    "save_amplitudes": Signature(1, subtype=3),
    "save_expval": Signature(1, subtype=5),
    "save_state": Signature(1, subtype=2),
    "set_clifford": Signature("set_stabilizer"),
    "set_density_matrix": Signature("set_density_matrix"),
    "set_matrix_product_state": Signature("set_matrix_product_state"),
    "set_qerror_loc": Signature(None, condition=2, expression=3),
    "set_statevector": Signature("set_statevector"),
    "set_superop": Signature("set_superop"),
    "set_unitary": Signature("set_unitary"),
    "store": Signature(None, expression=2),
    "superop": Signature("superop", condition=2, expression=3),
    "unitary": Signature("unitary", condition=2, expression=3),
}


class Call(NamedTuple):
    """One operation of a program: the method of ``AerCircuit`` and its arguments.

    The properties raise AerError for a method that :data:`SIGNATURES` does not have.
    """

    name: str
    args: tuple[Any, ...]

    @property
    def signature(self) -> Signature:
        """Where the arguments stand."""
        if self.name not in SIGNATURES:
            raise AerError(
                f"The installed Qiskit Aer has an instruction {self.name!r} that this version of "
                "aer_dask does not know; install the Qiskit Aer that aer_dask asks for."
            )
        return SIGNATURES[self.name]

    @property
    def qubits(self) -> Sequence[int]:
        """The qubits that the operation acts on."""
        position = self.signature.qubits
        return () if position is None else self.args[position]

    @property
    def operation(self) -> str | None:
        """The name in Aer's tables of instructions, if it is there."""
        listed = self.signature.operation
        if isinstance(listed, int):
            # controls that are open are part of a gate's name, as in cx_o0
            return str(self.args[listed]).split("_o")[0]
        return listed

    @property
    def is_save(self) -> bool:
        """Whether the operation saves data of the simulation."""
        return self.signature.subtype is not None

    @property
    def subtype(self) -> str:
        """How what is saved in several shots comes together (framework/results/data/subtypes/)."""
        assert self.signature.subtype is not None
        return str(self.args[self.signature.subtype])

    @property
    def is_conditional(self) -> bool:
        """Whether a classical register decides about the operation; a jump's expression may, too.

        Aer overlooks the expressions of other operations here (``Op::conditional``).
        """
        signature = self.signature
        if signature.condition is None:
            return False
        return self.args[signature.condition] >= 0 or (
            self.name == "jump" and self.args[signature.expression] is not None  # type: ignore[index]
        )
