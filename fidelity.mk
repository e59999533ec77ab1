# The long comparisons of accelerated with plain imports: all kinds of packages, and numpy's own test suite in both.
.PHONY: test-fidelity
test-fidelity: install
	$(BIN)/pytest -n 2 -m slow tests/bootstrap
