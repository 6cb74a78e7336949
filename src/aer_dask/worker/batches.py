"""Options and noise models of a run, decoded once a process."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..compile import codec


@lru_cache(maxsize=8)
def batches(shared: bytes) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The configuration and the noise model of each batch of a run.

    Args:
        shared: both, encoded.
    """
    decoded: list[tuple[dict[str, Any], dict[str, Any]]] = codec.decode(shared)
    return decoded
