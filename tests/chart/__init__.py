"""The chart, rendered by helm and read back; no cluster is needed."""
