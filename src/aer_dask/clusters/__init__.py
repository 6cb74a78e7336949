"""Clusters that Python starts, and the settings that all of ours have in common."""
