"""AWS on loopback, as strict as it is documented to be: for tests, and for trying things out without an account."""
