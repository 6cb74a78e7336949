"""All that decides the bits of a run, as plain data: what its address is the digest of.

Two runs that are the same have the same request, in whatever process; and from a request the run
can be made again, without the user's circuits. Names, headers and metadata decide no bits and are
its *labels*.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from qiskit_aer import AerSimulator, __version__

from ..compile import codec
from ..compile.assemble import Batch, Compiled, restored
from ..compile.bindings import NOTHING_BOUND, Bindings
from ..compile.columns import Columns
from ..compile.program import Program
from ..store import format as form
from ..trajectories.simulation import SCHEME
from .costs import CostModel
from .options import RunOptions
from .run import Run

_ERROR = "set_qerror_loc"


class _Table:
    """Values, each once, by what they are."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._known: dict[bytes, int] = {}

    def place(self, value: Any) -> int:
        """The place of a value, which is added unless there is an equal one."""
        key = b"".join(form.frames(value))
        if key not in self._known:
            self._known[key] = len(self.values)
            self.values.append(value)
        return self._known[key]


class _Request:
    """Collects what there is of each batch, and names errors by their order.

    Aer names each quantum error with a random number, anew in each process.
    """

    def __init__(self) -> None:
        self.programs, self.places, self.configs, self.noises = (_Table() for _ in range(4))
        self._errors: dict[str, str] = {}
        self._programs: dict[bytes, int] = {}
        self._noises: dict[int, int] = {}

    def batch(self, batch: Batch, seed: int) -> list[Any]:
        """A batch: the places of its options and noise, and its circuits."""
        config = self.configs.place(_in_order({**batch.config, "seed_simulator": seed}))
        if id(batch.noise) not in self._noises:
            self._noises[id(batch.noise)] = self.noises.place(self._noise(batch.noise))
        return [config, self._noises[id(batch.noise)], list(map(self._circuit, batch.circuits))]

    def _circuit(self, circuit: Compiled) -> list[Any]:
        if circuit.data not in self._programs:
            program = self._program(codec.decode(circuit.data))
            self._programs[circuit.data] = self.programs.place(program)
        found, bindings = [self._programs[circuit.data], float(circuit.phase)], circuit.bindings
        if bindings is NOTHING_BOUND:
            return found
        return [*found, self.places.place(bindings[:-1]), bindings.values]

    def _program(self, program: Program | Columns) -> Program | Columns:
        if isinstance(program, Columns):
            return program
        written = [
            (name, (args[0], self._errors.get(args[1], args[1]), *args[2:]))
            if name == _ERROR
            else (name, args)
            for name, args in program.written
        ]
        return Program(program.num_qubits, program.num_memory, program.global_phase_angle, written)

    def _noise(self, noise: dict[str, Any]) -> dict[str, Any]:
        errors = [self._error(error) for error in noise.get("errors", [])]
        return _in_order({**noise, "errors": errors} if noise else {})

    def _error(self, error: dict[str, Any]) -> dict[str, Any]:
        if "id" not in error:
            return error
        name = self._errors.setdefault(error["id"], f"error {len(self._errors)}")
        operations = [name if each == error["id"] else each for each in error["operations"]]
        return {**error, "id": name, "operations": operations}


def request_of(run: Run) -> list[form.Buffer]:
    """The request of a run whose circuits are all compiled, in frames.

    Raises:
        FormatError: for what cannot be held.
    """
    seeds = {experiment.batch: experiment.seed for experiment in run.experiments}
    found, options = _Request(), run.options
    batches = [found.batch(batch, seeds[number]) for number, batch in enumerate(run.batches)]
    value = {
        "format": form.FORMAT,
        "qiskit-aer": __version__,
        "scheme": SCHEME,
        "independent": options.independent,
        "max_shot_size": options.max_shot_size if options.independent else None,
        "noise_sampling": options.noise_sampling,
        "configs": found.configs.values,
        "noises": found.noises.values,
        "programs": found.programs.values,
        "places": found.places.values,
        "batches": batches,
    }
    return form.frames(value)


def labels_of(run: Run) -> list[form.Buffer]:
    """The headers of each batch's circuits, in frames; what no store can hold becomes its text."""
    labels = [[circuit.header for circuit in batch.circuits] for batch in run.batches]
    try:
        return form.frames(labels)
    except form.FormatError:
        return form.frames([[_held(header) for header in headers] for headers in labels])


def differs_from_here(request: dict[str, Any]) -> str:
    """Where a request's versions are other ones than those here, in words; "" if nowhere."""
    here = {"qiskit-aer": __version__, "scheme": SCHEME}
    return ", ".join(
        f"{name} is {mine} here and was {request.get(name)} there"
        for name, mine in here.items()
        if request.get(name) != mine
    )


def restored_run(request: Any, labels: Any, backend: AerSimulator, costs: CostModel) -> Run:
    """The run of a request, with all its circuits compiled.

    Args:
        request: as :func:`request_of` has encoded it.
        labels: as :func:`labels_of` has.
        backend: that formats the results.
        costs: of the backend.

    Raises:
        FormatError: if the request or the labels are not what they should be.
    """
    try:
        batches = [
            restored(
                request["configs"][config],
                request["noises"][noise],
                _circuits(request, circuits, headers),
            )
            for (config, noise, circuits), headers in zip(request["batches"], labels, strict=True)
        ]
        options = RunOptions(
            max_shot_size=request["max_shot_size"],
            independent=request["independent"],
            noise_sampling=request["noise_sampling"],
        )
        run = Run(backend, batches, options, costs)
        run.compile()
    except (TypeError, KeyError, ValueError, IndexError, AttributeError) as error:
        raise form.FormatError(f"the request of the run is none: {error!r}") from error
    return run


def _circuits(
    request: dict[str, Any], circuits: list[Any], headers: list[dict[str, Any]]
) -> Iterable[tuple[Program | Columns, Bindings, dict[str, Any]]]:
    for (program, phase, *bound), header in zip(circuits, headers, strict=True):
        bindings = NOTHING_BOUND
        if bound:
            bindings = Bindings._make([*request["places"][bound[0]], bound[1]])
            form.check_bindings(bindings)
        # the request has the last word: labels may be of another run that has the same bits
        yield request["programs"][program], bindings, {**header, "global_phase": phase}


def _held(header: dict[str, Any]) -> dict[str, Any]:
    held = {}
    for name, value in header.items():
        try:
            form.frames(value)
            held[name] = value
        except form.FormatError:
            # where an object is in memory tells nobody anything, and is another place each time
            held[name] = re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    return held


def _in_order(value: Any) -> Any:
    """Dictionaries in the order of their keys, all through."""
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_in_order(each) for each in value]
    return value
