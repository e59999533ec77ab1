"""Wiring users' functions to their release: attaching, detaching, and what a doctor checks."""
