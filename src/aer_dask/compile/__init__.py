"""Circuits to programs: what the client does once, before anything is planned."""
