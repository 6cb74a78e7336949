"""The job that ``run`` returns, and the thread that drives it."""
