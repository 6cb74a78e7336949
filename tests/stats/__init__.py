"""Whether shots that share trajectories have the exact distribution: ``python -m tests.stats``."""
