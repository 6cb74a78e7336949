"""A Kubernetes cluster for the tests: `python3 -m tests.kubernetes up`, `load`, `down`.

It uses only the standard library, because it runs before anything is installed.
"""
