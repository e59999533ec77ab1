# Ten minutes of damaged input for every parser of what others write; a short form runs with `make test`.
#   make fuzz [FUZZ_SECONDS=28]    seconds for each of 42 targets, two at a time
.PHONY: fuzz
FUZZ_SECONDS ?= 28
fuzz: install
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/pytest -n 2 tests/fuzz
