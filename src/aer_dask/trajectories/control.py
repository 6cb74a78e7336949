"""Jumps over operations, to marks: what Aer's compiler makes of if, else, switch and break."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..compile.instructions import Call
from .refusal import refusal


@dataclass(frozen=True)
class Condition:
    """Whether the classical bits of a mask have a value."""

    mask: int
    value: int


class _Control:
    """Something between blocks, where nothing is simulated."""

    sites: tuple[()] = ()

    def steps(self, _: Mapping[int, int]) -> tuple[()]:
        """As of a block: none."""
        return ()


@dataclass(frozen=True)
class Jump(_Control):
    """Where shots go on at the mark with a label: all of them, or those that meet a condition."""

    label: str
    condition: Condition | None


@dataclass(frozen=True)
class Mark(_Control):
    """Where shots go on that have jumped here."""

    label: str


Control = Jump | Mark


class Controls:
    """Takes in the classical operations of a circuit, in order."""

    def __init__(self) -> None:
        self._conditions: dict[int, Condition] = {}  # of Aer's registers
        self._marked: set[str] = set()
        self._jumped: set[str] = set()

    @property
    def is_open(self) -> bool:
        """Whether some shots may have jumped over what comes next."""
        return not self._jumped <= self._marked

    def read(self, call: Call) -> Control | None:
        """What an operation does to the way of shots; None if nothing by itself.

        Raises:
            AerError: for jumps backwards, expressions and variables.
        """
        match call.name:
            case "bfunc":
                mask, value, relation, register = call.args
                if relation != "==":
                    raise refusal(f"conditions with {relation!r}")
                self._conditions[register] = Condition(int(mask, 16), int(value, 16))
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
