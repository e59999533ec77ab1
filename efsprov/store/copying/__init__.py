"""Copies a tree onto the root with few round trips, many at a time; resumes what was cut off."""
