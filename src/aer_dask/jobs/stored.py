"""A job of which a store knows, perhaps of another process and another day."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property

from qiskit.providers import JobError, JobStatus, JobV1
from qiskit.result import Result

from ..errors import StoreError, VersionMismatchError
from ..runs.collect import Collector
from ..runs.costs import CostModel
from ..runs.kept import Kept
from ..runs.request import differs_from_here, restored_run
from ..runs.run import Run
from ..store.entries import Entries, JobRecord
from ..store.format import FormatError
from ..store.location import Store
from .jobset import AerJobSet, Progress
from .keeping import kept_of

logger = logging.getLogger(__name__)

_STATUS = {"done": JobStatus.DONE, "cancelled": JobStatus.CANCELLED, "error": JobStatus.ERROR}


class StoredJob(JobV1):
    """A job whose results are in a store: what :meth:`AerSimulator.retrieve_job` gives.

    Args:
        backend: that retrieves it.
        store: where it is.
        record: of the job.
        start: starts a run as that job.
    """

    def __init__(
        self,
        backend: object,
        store: Store,
        record: JobRecord,
        start: Callable[[Run, JobRecord], AerJobSet],
    ) -> None:
        super().__init__(backend, record.job_id)
        self._entries, self._record, self._start = Entries(store), record, start

    def submit(self) -> None:
        """It was submitted by another process.

        Raises:
            JobError: always.
        """
        raise JobError("This job was submitted before; resume() goes on with it.")

    def record(self) -> JobRecord:
        """What the store knew of the job when it was asked last."""
        return self._record

    def status(self) -> JobStatus:
        """Where the job stands, as the store knows it now.

        A job whose client has died is an ERROR, ten minutes after that client's last word.

        Raises:
            StoreError: if the store cannot be read.
        """
        self._record = self._entries.record(self.job_id())
        if self._record.is_running:
            return JobStatus.RUNNING
        return _STATUS.get(self._record.ended, JobStatus.ERROR)

    def progress(self) -> Progress:
        """How many circuits are there with all their shots, and how many there are.

        Raises:
            StoreError: as :meth:`status`.
        """
        return Progress(len(self._kept(data=False).complete), self._record.circuits)

    def result(self) -> Result:
        """The Result of all circuits, from the store alone.

        Raises:
            JobError: if something is missing; :meth:`resume` computes it.
            StoreError: as :meth:`status`.
        """
        return self.results()[0]

    def results(self) -> list[Result]:
        """One Result for each batch, as :meth:`AerJobSet.results`.

        Raises:
            Exception: as :meth:`result`.
        """
        kept = self._kept()
        if (there := len(kept.complete)) < self._record.circuits:
            raise JobError(
                f"{there} of {self._record.circuits} circuits are there; "
                "resume() computes the rest."
            )
        collector = Collector(self._run)
        collector.take(kept)
        results = collector.results(self.job_id(), 0.0)
        for result in results:
            result.backend_name, result.backend_version = self._record.backend
        return results

    def cancel(self) -> bool:
        """A job is cancelled by the process that runs it; this does nothing."""
        return False

    def resume(self) -> AerJobSet:
        """Go on with the job, on the executor of this backend: what is there is not run again.

        A client that still works on it is not disturbed: then both do the rest, with the same bits,
        and of how the job has ended the store has what the last one says. A warning says so.

        Returns:
            A running job of the same id. The circuits come from the store.

        Raises:
            VersionMismatchError: if Aer is another one now: its bits would not go with the others.
            StoreError: as :meth:`status`.
            Exception: what :meth:`AerSimulator.run` raises.
        """
        if self.status() is JobStatus.RUNNING:
            logger.warning(
                "Job %s has, or had until lately, another client, which has said that it works on "
                "it at %s UTC. If that lives, both do the same work.",
                self.job_id(), f"{self._record.alive:%H:%M:%S}",
            )  # fmt: skip
        if where := differs_from_here(self._request):
            raise VersionMismatchError(
                f"Job {self.job_id()} cannot be resumed, because its bits might not go together: "
                f"{where}. Run its circuits anew, or resume it with those versions."
            )
        return self._start(self._new_run(), self._record)

    @cached_property
    def _request(self) -> dict[str, object]:
        request = self._entries.request(self._record.address)
        if not isinstance(request, dict):
            raise StoreError(f"What the store has of job {self.job_id()} is no request.")
        return request

    @cached_property
    def _run(self) -> Run:
        return self._new_run()

    def _new_run(self) -> Run:
        labels = self._entries.labels(self._record)
        try:
            return restored_run(self._request, labels, self.backend(), CostModel())
        except FormatError as error:
            raise StoreError(f"Job {self.job_id()} cannot be read: {error}.") from error

    def _kept(self, *, data: bool = True) -> Kept:
        address = self._record.address
        found = self._entries.in_run(address)
        return kept_of(self._run, self._entries, address, found, data=data)
