"""Where tasks go: one module for each kind of executor, behind one interface."""
