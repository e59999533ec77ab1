"""What efsprov decides: pure functions and data; no files, no network, no clock."""
