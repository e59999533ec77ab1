"""Waiting for other machines: what may be tried again, and for how long."""
