"""What has happened in a job: written by its thread, read by whoever asks for a report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ..worker.trace import Trace


class Ran(NamedTuple):
    """A task that gave its output; ``sending`` counts how often it had been sent, from 1."""

    task: int
    sending: int
    trace: Trace


class Loss(NamedTuple):
    """A task that was sent and is sent again; ``trace`` says who ran it, if that is known.

    ``sending`` as in :class:`Ran`; ``task`` may have been run, but its output be of no use.
    ``begun`` is False where nobody knows whether it had begun.
    """

    task: int
    sending: int
    why: str
    trace: Trace | None = None
    begun: bool = True


@dataclass
class Record:
    """The runs of a job's tasks and their losses, in the order in which they became known."""

    ran: list[Ran] = field(default_factory=list)
    lost: list[Loss] = field(default_factory=list)
    #: bytes of all outputs, as they came
    received: int = 0
