"""Workers that have not come in time, with Kubernetes' reason."""

from __future__ import annotations

from distributed.deploy.cluster import Cluster

from ..errors import ClusterError


class WaitsForPods(Cluster):
    """A cluster whose workers are pods."""

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
