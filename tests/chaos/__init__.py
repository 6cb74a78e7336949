"""`make chaos`: faults of every kind, one after another, on a release under load."""
