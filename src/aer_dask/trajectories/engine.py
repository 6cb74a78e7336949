"""A state vector, and its products with matrices on a few qubits.

A product takes the amplitudes in an order in which its qubits come first, and leaves them so: to
put them back would take as long again. So the order that they are in is part of a state. It follows
from the products alone, and with it every rounding.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property, partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

#: The amplitudes, by Aer's option ``precision``.
AMPLITUDES: dict[str, np.dtype[Any]] = {
    "double": np.dtype(np.complex128),
    "single": np.dtype(np.complex64),
}
#: Multiplications, as a power of two, that OpenBLAS does with one thread. To start its threads,
#: and to wait for all of them on a busy machine, takes up to a hundred times as long.
_ONE_THREAD = 15
#: Tables of a product from which on threads of ours are worth it.
_MANY_TABLES = 32
#: Products that are kept prepared.
_MOST_PRODUCTS = 10_000


class State(NamedTuple):
    """2**num_qubits amplitudes, and the qubits whose values are the digits of their places.

    The most significant digit comes first: ``order`` is 2, 1, 0 where they are little-endian.
    """

    amplitudes: np.ndarray
    order: tuple[int, ...]

    @classmethod
    def ground(cls, num_qubits: int, precision: str) -> State:
        """All qubits are zero."""
        amplitudes = np.zeros(2**num_qubits, AMPLITUDES[precision])
        amplitudes[0] = 1.0
        return cls(amplitudes, tuple(range(num_qubits))[::-1])

    def rows(self, qubits: Sequence[int]) -> np.ndarray:
        """The amplitudes, a row for each value of some qubits, little-endian in these."""
        first, rest = _axes(self.order, qubits)
        tensor = self.amplitudes.reshape([2] * len(self.order)).transpose(first + rest)
        return tensor.reshape(2 ** len(qubits), -1)

    def vector(self) -> np.ndarray:
        """The amplitudes, little-endian."""
        return self.rows(range(len(self.order))).ravel()


class Engine:
    """Multiplies a state that was loaded.

    Its arrays are used again and again: memory that is given back and asked for anew comes page by
    page, which takes longer than the multiplication.

    Args:
        num_qubits: of the state.
        threads: to multiply large states with; 0 for as many as OpenMP may have. A product has the
            same bits with any number of them: each amplitude is computed by one.
        precision: of the amplitudes, ``"double"`` or ``"single"``.
    """

    def __init__(self, num_qubits: int, threads: int = 1, precision: str = "double") -> None:
        self.threads = threads or _openmp_threads()
        self._dtype = AMPLITUDES[precision]
        self._arrays = [np.empty(2**num_qubits, self._dtype) for _ in range(2)]
        self._now = 0  # which of them has the state
        self._order: tuple[int, ...] = ()
        self._products: dict[tuple[tuple[int, ...], tuple[int, ...]], _Product] = {}
        self._tables: dict[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]] = {}

    def load(self, state: State) -> None:
        """Begin with a state, which stays as it is."""
        np.copyto(self._arrays[self._now], state.amplitudes)
        self._order = state.order

    @property
    def state(self) -> State:
        """What was loaded, multiplied by all that was applied; written over by what comes next."""
        return State(self._arrays[self._now], self._order)

    def unload(self) -> State:
        """A copy of the state."""
        return State(self._arrays[self._now].copy(), self._order)

    def apply(self, qubits: tuple[int, ...], matrix: np.ndarray) -> None:
        """Multiply by a matrix, unitary or not, that is little-endian in the qubits."""
        key = self._order, qubits
        product = self._products.get(key) or self._prepared(*key)
        before, after = product.before[self._now], product.after[self._now]
        matrix = np.asarray(matrix, self._dtype)
        if len(product.places) < _MANY_TABLES or self.threads == 1:
            _multiply(matrix, before, after, product.places, product.tables[0])
        else:
            every = range(self.threads)
            places = [product.places[first :: self.threads] for first in every]
            some = partial(_multiply, matrix, before, after)
            list(self._pool.map(some, places, product.tables))
        self._now, self._order = 1 - self._now, product.order

    def _prepared(self, order: tuple[int, ...], qubits: tuple[int, ...]) -> _Product:
        """A product on some qubits of a state that is in some order."""
        if len(self._products) >= _MOST_PRODUCTS:
            self._products.clear()
        rows = 2 ** len(qubits)
        first, others = _axes(order, qubits)
        # to copy long runs is faster
        runs = sorted(_runs(others), key=len)
        rest = [*chain.from_iterable(runs)]
        cut = min(max(0, len(first) + len(order) - _ONE_THREAD), len(rest))
        shape = (rows, 2 ** (len(rest) - cut))
        if shape not in self._tables:
            tables = [np.empty(shape, self._dtype) for _ in range(self.threads)]
            self._tables[shape] = [(t.reshape([2] * (len(order) - cut)), t) for t in tables]
        axes = rest[:cut] + first + rest[cut:]
        product = _Product(
            before=[a.reshape([2] * len(order)).transpose(axes) for a in self._arrays],
            after=[a.reshape(rows, *[2] * cut, -1).transpose(*range(1, cut + 1), 0, cut + 1)
                   for a in reversed(self._arrays)],
            places=_places(cut),
            tables=self._tables[shape],
            order=tuple(order[axis] for axis in first + rest),
        )  # fmt: skip
        self._products[order, qubits] = product
        return product

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads, thread_name_prefix="aer-dask-product")


class _Product(NamedTuple):
    """A product on some qubits of a state in some order.

    ``before`` and ``after`` have the amplitudes, by the array in which they are before: views whose
    first axes say which part it is that is multiplied at a time. ``places`` are those of the parts.
    ``tables`` are what a part is put in order in, one for each thread: with an axis for each qubit,
    and as a matrix. ``order`` is that of the state after it.
    """

    before: list[np.ndarray]
    after: list[np.ndarray]
    places: list[tuple[int, ...]]
    tables: list[tuple[np.ndarray, np.ndarray]]
    order: tuple[int, ...]


def _multiply(
    matrix: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    places: list[tuple[int, ...]],
    table: tuple[np.ndarray, np.ndarray],
) -> None:
    axes, columns = table
    for place in places:
        np.copyto(axes, before[place])
        np.matmul(matrix, columns, out=after[place])


def _openmp_threads() -> int:
    """What a worker leaves to its simulations, or all CPUs that this process may use."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return int(limit) if limit.isdigit() and int(limit) else len(os.sched_getaffinity(0))


@cache
def _places(axes: int) -> list[tuple[int, ...]]:
    return list(np.ndindex(*[2] * axes))


def _axes(order: tuple[int, ...], qubits: Sequence[int]) -> tuple[list[int], list[int]]:
    """Where the qubits are in an order, the most significant first, and where all others are."""
    first = [order.index(qubit) for qubit in reversed(qubits)]
    return first, [axis for axis in range(len(order)) if axis not in first]


def _runs(axes: list[int]) -> list[list[int]]:
    """Axes that follow one another without a gap, which are as good as a single one."""
    runs: list[list[int]] = []
    for axis in axes:
        if runs and runs[-1][-1] == axis - 1:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    return runs
