"""Aer's rules of which operation gets which errors.

``NoiseModel::sample_local_quantum_noise`` and ``sample_readout_noise`` in noise/noise_model.hpp:
an error is looked up by the label of a gate or unitary (that of a ``pauli`` is its string, by
``make_gate`` in framework/operations.hpp), by the name of any other operation, and by its qubits in
their order. An error of these qubits takes the place of one of all qubits.
"""

from __future__ import annotations

from collections import defaultdict
from functools import reduce
from itertools import chain
from typing import Any

import numpy as np

from .channels import Mixture, mixtures
from .refusal import refusal

Qubits = tuple[int, ...]
#: Where an error of all qubits is kept.
_ALL: Qubits = ()


class Rules:
    """The errors of a noise model; those that nothing asks for are not read.

    Args:
        noise: the dictionary form of the model.

    Raises:
        AerError: for errors that reach beyond the qubits of their gate.
    """

    def __init__(self, noise: dict[str, Any]) -> None:
        self._errors: dict[str, dict[Qubits, list[dict[str, Any]]]] = defaultdict(dict)
        self._readout: dict[Qubits, list[np.ndarray]] = {}
        self._mixtures: dict[int, list[Mixture]] = {}
        for error in noise.get("errors", []):
            self._add(error)

    def mixtures(self, name: str, qubits: Qubits) -> list[Mixture]:
        """What may happen to the qubits of an operation, one mixture after the other.

        Args:
            name: the label of a gate or unitary, else the operation's name.
            qubits: of the operation, in its order.

        Raises:
            AerError: for an error that cannot be read, naming what is in it.
        """
        found = self._errors.get(name, {})
        errors = found.get(qubits, found.get(_ALL, []))
        if any(_width(error) > len(qubits) for error in errors):
            raise refusal(f"an error of more qubits than {name!r} has")
        return [mixture for error in errors for mixture in self._read(error)]

    def readout(self, qubit: int) -> np.ndarray | None:
        """The probabilities of what is written down when a qubit is measured; None for no error.

        Row b are those of a measured b.
        """
        found = self._readout.get((qubit,), self._readout.get(_ALL))
        return None if found is None else reduce(np.matmul, found)

    def _add(self, error: dict[str, Any]) -> None:
        places = [tuple(qubits) for qubits in error.get("gate_qubits", [])] or [_ALL]
        if error["type"] == "roerror":
            for place in places:
                self._readout.setdefault(place, []).append(np.asarray(error["probabilities"]))
            return
        if "noise_qubits" in error:
            raise refusal(f"a nonlocal error of {', '.join(error['operations'])}")
        for name in set(error["operations"]):
            for place in places:
                self._errors[name].setdefault(place, []).append(error)

    def _read(self, error: dict[str, Any]) -> list[Mixture]:
        if id(error) not in self._mixtures:
            self._mixtures[id(error)] = mixtures(error)
        return self._mixtures[id(error)]


def _width(error: dict[str, Any]) -> int:
    """How many qubits an error is of."""
    steps = chain.from_iterable(error["instructions"])
    return 1 + max((max(step["qubits"], default=0) for step in steps), default=0)
