"""Results that outlive the client: a folder, a bucket, or whatever fsspec reaches."""

from .location import Store
from .pruning import Removed, prune

__all__ = ["Removed", "Store", "prune"]
