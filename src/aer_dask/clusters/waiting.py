"""What clusters of pods have in common: who awaits them, and workers that have not come in time."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Self

from distributed.core import Status
from distributed.deploy.cluster import Cluster

from .. import versions
from ..errors import ClusterError


class WaitsForPods(Cluster):
    """A cluster whose workers are pods."""

    def __await__(self) -> Generator[Any, None, Self]:
        async def started() -> Self:
            if self.status == Status.created:
                await self._start()
            elif self.status == Status.running:  # a client awaits it before it connects
                versions.take_over()
            return self

        return started().__await__()

    async def _wait_for_workers(self, n_workers: int = 0, timeout: float | None = None) -> None:
        try:
            await super()._wait_for_workers(n_workers, timeout)
        except TimeoutError as error:
            try:
                why = "; ".join(await self._worker_troubles())
            except ClusterError as refused:
                why = str(refused).rstrip(".")
            count = len(self.scheduler_info["workers"])
            raise _MissingError(
                f"{count} of {n_workers} workers have come within {timeout} s: "
                f"{why or 'the cluster does not ask for more, see scale()'}."
            ) from error

    async def _worker_troubles(self) -> list[str]:
        """Why pods of workers do not run."""
        raise NotImplementedError


class _MissingError(ClusterError, TimeoutError):
    """What users of Dask's own clusters expect, too."""
