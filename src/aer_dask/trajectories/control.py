"""Jumps over operations, to marks: what Aer's compiler makes of if, else, switch and break."""

from __future__ import annotations

from dataclasses import dataclass

from ..compile.instructions import Call
from .refusal import refusal


@dataclass(frozen=True)
class Condition:
    """Whether the classical bits of a mask have a value, after so many of the measurements."""

    mask: int
    value: int
    measurements: int


@dataclass(frozen=True)
class Jump:
    """Where shots go on at the mark with a label: all of them, or those that meet a condition."""

    label: str
    condition: Condition | None
    sites: tuple[()] = ()


@dataclass(frozen=True)
class Mark:
    """Where shots go on that have jumped here."""

    label: str
    sites: tuple[()] = ()


Control = Jump | Mark


class Controls:
    """Takes in the classical operations of a circuit, in order."""

    def __init__(self) -> None:
        self._conditions: dict[int, Condition] = {}  # of Aer's registers
        self._marked: set[str] = set()
        self._jumped: set[str] = set()

    def read(self, call: Call, measurements: int) -> Control | None:
        """What an operation does to the way of shots; None if nothing by itself.

        Args:
            call: the operation.
            measurements: how many have come before it.

        Raises:
            AerError: for jumps backwards, expressions and variables.
        """
        match call.name:
            case "bfunc":
                mask, value, relation, register = call.args
                if relation != "==":
                    raise refusal(f"conditions with {relation!r}")
                found = Condition(int(mask, 16), int(value, 16), measurements)
                self._conditions[register] = found
                return None
            case "jump":
                _, (label,), register, expression = call.args
                if expression is not None:
                    raise refusal("conditions that are expressions")
                if label in self._marked:
                    raise refusal("loops that depend on measurements")
                self._jumped.add(label)
                return Jump(label, self._conditions[register] if register >= 0 else None)
            case "mark":
                _, (label,) = call.args
                self._marked.add(label)
                return Mark(label) if label in self._jumped else None
        raise refusal("classical variables")
