"""Calls on the root, one by one: each mutating call goes through `fileops`."""
