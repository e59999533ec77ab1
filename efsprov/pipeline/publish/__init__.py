"""Brings a staged tree onto the root, and makes it a release once."""
