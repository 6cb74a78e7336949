"""One run: its experiments, the tasks they are cut into, and the Result of all outputs. Pure."""
