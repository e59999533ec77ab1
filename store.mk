# The store's long tests (docs/explanation/faults.md); short versions of all run with `make test`.
#   make stress [STRESS_SECONDS=600] [STRESS_OPTIONS='--seed 7']    random operations by four processes, some of them killed
#   make test-nfs-long                                              publishers on two NFS clients, hundreds of syncs each

STORE_PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)
STRESS_SECONDS ?= 600
STRESS_OPTIONS ?= --kills

.PHONY: stress test-nfs-long

stress:
	$(STORE_PYTHON) -m tests.store.stress --processes 4 --seconds $(STRESS_SECONDS) $(STRESS_OPTIONS)

test-nfs-long: lab-packages
	$(STORE_PYTHON) -m pytest -n 0 -m 'lab and slow' tests/store
