"""A run of many tasks for the tests in which something dies, and what it must give."""

from functools import cache

from aer_dask import AerSimulator
from tests.circuits import pauli_noise, plain, volume

CIRCUIT = volume(9)
CIRCUIT.name = "run"  # the same in every process
OPTIONS = {"shots": 240, "seed_simulator": 9, "memory": True}


def start_run(executor, **options):
    """Start it: eight tasks, unless the options say otherwise."""
    backend = AerSimulator(executor=executor, noise_model=pauli_noise(), method="statevector")
    return backend.run(CIRCUIT, **{"max_shot_size": 30, **OPTIONS, **options})


@cache
def expected(shots=OPTIONS["shots"]):
    """The Result of plain Aer."""
    backend = plain(pauli_noise(), method="statevector")
    return backend.run(CIRCUIT, **{**OPTIONS, "shots": shots}).result()
