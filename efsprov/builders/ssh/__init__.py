"""Builds on a host over SSH."""
