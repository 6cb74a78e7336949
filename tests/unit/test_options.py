"""The options that are aer_dask's own are refused early, with an executor and without."""

import copy
import pickle

import numpy as np
import pytest
from qiskit_aer import AerError

from aer_dask import AerSimulator, InsufficientMemoryError
from aer_dask.runs.options import RunOptions
from aer_dask.store import Store
from tests.circuits import bell, volume
from tests.compiling import assemble, compiled_run


def test_a_wrong_seed_policy_is_refused_without_an_executor_too():
    with pytest.raises(AerError, match="seed_policy must be one of"):
        AerSimulator(seed_policy="lucky").run(bell())
    with pytest.raises(AerError, match="seed_policy must be one of"):
        AerSimulator().run(bell(), seed_policy="lucky")


def test_copies_and_pickles_of_a_backend_keep_its_store(tmp_path):
    store = Store(tmp_path.as_uri())
    backend = AerSimulator(store=store)
    copies = [copy.copy(backend), copy.deepcopy(backend), pickle.loads(pickle.dumps(backend))]
    assert [each.options.store for each in copies] == [store] * 3
    assert RunOptions.of(backend.options, {}).store == store
    assert RunOptions.of(backend.options, {"store": False}).store is None
    assert RunOptions.of(AerSimulator().options, {"store": tmp_path}).store == store
    assert AerSimulator().run(bell(), store=False).result().success


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.uint64])
def test_shots_may_be_a_number_of_numpy(kind):
    batch = assemble(AerSimulator(), [bell()], None, {"shots": kind(200), "memory": True})
    task = compiled_run(AerSimulator(), [batch]).planner(1).plan().tasks[0]
    assert (task.pieces[0].shots, batch.shots) == (200, 200)


def test_each_batch_of_a_run_has_its_own_rule_of_memory():
    backend = AerSimulator(method="statevector")
    bounded = assemble(backend, [volume(2)], None, {"max_memory_mb": 1})
    free = assemble(backend, [volume(6)], None, {})
    for batches in ([bounded, free], [free, bounded]):
        run = compiled_run(backend, batches)
        with pytest.raises(InsufficientMemoryError, match="6 qubits"):
            run.check_memory(run.planner(1).plan().tasks, 16 * 2**5)
    run = compiled_run(backend, [bounded])
    run.check_memory(run.planner(1).plan().tasks, 0)
