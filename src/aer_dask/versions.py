"""One set of versions for client, scheduler and workers, or a sentence that says where they differ.

    python -m aer_dask.versions --scheduler tcp://scheduler:8786

The packages compared are those that have to agree on the bytes they exchange (aer_dask, dask,
distributed) and on the bits they compute (qiskit, qiskit-aer). Of Python the minor version has to
agree, because Dask sends code as bytecode. Nothing else matters to a simulation, so clients that
are made here are spared Dask's own warning, which is of every package that it knows.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from distributed.versions import VersionMismatchWarning, get_package_info

from .errors import VersionMismatchError

if TYPE_CHECKING:
    from distributed import Client

PACKAGES = ("aer-dask", "qiskit", "qiskit-aer", "dask", "distributed")

Versions = Mapping[str, str | None]


def installed() -> dict[str, str | None]:
    """The versions in this process's environment, Python's too; None for what is missing."""
    return get_package_info(PACKAGES)


def _mismatch(here: Versions, there: Versions) -> str:
    """What differs, in words: 'qiskit is 2.6.2 here and 2.5.0 there'; empty if nothing does."""
    compared = {name: (here[name], there.get(name)) for name in PACKAGES}
    if "python" in here and "python" in there:
        compared["Python"] = _minor(here["python"]), _minor(there["python"])
    return ", ".join(
        f"{name} is {mine or 'missing'} here and {other or 'missing'} there"
        for name, (mine, other) in compared.items()
        if mine != other
    )


def _minor(python: str | None) -> str:
    """'3.11' of '3.11.7.final.0'."""
    return ".".join((python or "").split(".")[:2])


def require_same(here: Versions, others: Mapping[str, Versions]) -> None:
    """Raise unless everybody has the versions of this process.

    Args:
        here: versions of this process.
        others: versions of the others, by what they are called in the message.

    Raises:
        VersionMismatchError: naming the first that differs, with exact versions.
    """
    for name, there in others.items():
        if found := _mismatch(here, there):
            more = sum(bool(_mismatch(here, other)) for other in others.values()) - 1
            raise VersionMismatchError(
                f"Versions differ between this process and {name}"
                f"{f' (and {more} more)' if more else ''}: {found}. "
                "Results would not be reproducible; install the same versions everywhere, "
                "for instance by running client and cluster from the same aer-dask image."
            )


def of_scheduler(found: Versions) -> Versions:
    """What a scheduler is held to: Dask's versions, and the simulator's only where it has them.

    A scheduler does not simulate; one of a plain Dask image will do.
    """
    mine = installed()
    return {
        package: found.get(package) or (None if package == "dask" else mine[package])
        for package in ("python", *PACKAGES)
    }


_ours_to_compare: ContextVar[bool] = ContextVar("aer_dask_versions", default=False)


class _WhereOurs:
    """In a filter of warnings, where the pattern of a message is: matches by context, not by text.

    ``warnings.catch_warnings`` would change the filters of all threads, and Dask warns in another
    one than its client was made in. A context goes with the client, to its reconnections too.
    """

    def match(self, _message: str) -> bool:
        """Called by Python for each warning of Dask's."""
        return _ours_to_compare.get()


_FILTER: Any = ("ignore", _WhereOurs(), VersionMismatchWarning, None, 0)


def take_over() -> None:
    """Have Dask not warn of versions on behalf of clients that start in this context."""
    if _FILTER not in warnings.filters:
        warnings.filters.insert(0, _FILTER)  # type: ignore[attr-defined]
    _ours_to_compare.set(True)


@contextmanager
def ours_to_compare() -> Iterator[None]:
    """The same for clients that are made within: of what matters, this module speaks."""
    before = _ours_to_compare.get()
    take_over()
    try:
        yield
    finally:
        _ours_to_compare.set(before)


def asked(client: Client) -> Any:
    """What Dask tells of the versions on a cluster; to be awaited in the client's event loop."""
    return client.get_versions(packages=PACKAGES)


def by_name(found: Any) -> dict[str, Versions]:
    """The versions of the scheduler and of every worker, by what they are called, of that."""
    reports = {"the scheduler": of_scheduler(found["scheduler"]["packages"])}
    for address, report in found["workers"].items():
        reports[f"worker {address}"] = report["packages"]
    return reports


def main() -> None:
    """Compare a cluster with this environment; exit with a sentence where they differ."""
    from distributed import Client

    parser = argparse.ArgumentParser(prog="python -m aer_dask.versions", description=__doc__)
    parser.add_argument("--scheduler", required=True, help="address, such as tcp://host:8786")
    with ours_to_compare():
        client = Client(parser.parse_args().scheduler)
    with client:
        here, others = installed(), by_name(asked(client))
        try:
            require_same(here, others)
        except VersionMismatchError as error:
            raise SystemExit(str(error)) from error
    print(", ".join(f"{name} {found}" for name, found in here.items()))
    print(f"the same on this client, the scheduler and {len(others) - 1} workers")


if __name__ == "__main__":
    main()
