"""The chart installed on a real cluster: `make test-cluster`."""
