"""Bytecode, the smoke test, and the import index: what makes a tree import, and import fast."""
