"""Noisy circuits whose shots share the evolution of what they have in common."""
