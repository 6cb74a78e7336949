"""The options of a run that are aer_dask's own, beside those of Aer.

They are declared here and nowhere else: :class:`aer_dask.AerSimulator` adds their defaults to its
options, and a run reads them from the options given to it, else from the backend's. All other
options pass through to Aer's compiler and from there to the workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import dask.config
from qiskit_aer import AerError

from ..store.location import Store

SEED_POLICIES = ("aer", "independent")
NOISE_SAMPLINGS = ("aer", "shared", "auto")
#: Defaults of the options that plain Aer does not have.
DEFAULTS = {
    "seed_policy": "aer", "prefix_sharing": True, "noise_sampling": "aer", "store": None,
}  # fmt: skip
#: Where Dask's configuration may name a store, for runs with an executor.
STORE = "aer-dask.store"


@dataclass(frozen=True)
class RunOptions:
    """How a run is cut into tasks, and where its seeds come from.

    ``max_job_size`` is circuits per task and ``max_shot_size`` shots per task, None to choose.
    ``independent`` says that every slice of the shots gets a hashed seed of its own, in place of
    the one that plain Aer would have used there. ``prefix_sharing`` lets rows of parameter values
    share the simulation of what they have in common, and ``noise_sampling`` says whether the shots
    of noisy circuits do: ``"aer"`` for not, ``"shared"`` for all, ``"auto"`` where it is faster.
    ``store`` is where results are kept; None for nowhere.
    """

    max_job_size: int | None = None
    max_shot_size: int | None = None
    independent: bool = False
    prefix_sharing: bool = True
    noise_sampling: str = "aer"
    store: Store | None = None

    @classmethod
    def of(cls, backend_options: Any, run_options: dict[str, Any]) -> Self:
        """Read the options of one run.

        Args:
            backend_options: of the backend.
            run_options: of this run, which take precedence.

        Raises:
            AerError: for a size that is no whole number of at least 1, an unknown seed policy
                or noise sampling, or a switch that is neither True nor False.
            StoreError: for a store that can never work.
        """

        def given(name: str) -> Any:
            return run_options.get(name, getattr(backend_options, name, DEFAULTS.get(name)))

        if (policy := given("seed_policy")) not in SEED_POLICIES:
            raise AerError(f"seed_policy must be one of {SEED_POLICIES}, not {policy!r}.")
        if (sampling := given("noise_sampling")) not in NOISE_SAMPLINGS:
            raise AerError(f"noise_sampling must be one of {NOISE_SAMPLINGS}, not {sampling!r}.")
        if not isinstance(sharing := given("prefix_sharing"), bool):
            raise AerError(f"prefix_sharing must be True or False, not {sharing!r}.")
        return cls(
            _size("max_job_size", given("max_job_size")),
            _size("max_shot_size", given("max_shot_size")),
            policy == "independent",
            sharing,
            sampling,
            _store(given("store"), has_executor=given("executor") is not None),
        )


def _store(given: Any, *, has_executor: bool) -> Store | None:
    if given is None and has_executor:
        given = dask.config.get(STORE, None)
    return None if given is None or given is False else Store.of(given)


def _size(name: str, value: Any) -> int | None:
    if value is None:
        return None
    try:
        whole = int(value) == value and value >= 1
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole:
        raise AerError(f"{name} must be a whole number of at least 1, not {value!r}.")
    return int(value)
