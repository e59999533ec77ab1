# What is measured against the bars, each in one run (docs/explanation/publishing-speed.md).
# As root the NFS server runs on the host, otherwise in the guest, where times say less (docs/how-to/measure-on-nfs.md).
#   make bench-sync [FRAMEWORK=torch==2.6.0] [SYNC_OPTIONS='--delay 1 --no-copytree']
#   make bench-import [IMPORT_OPTIONS='torch --rounds 5 --json']     (docs/explanation/cold-import.md)

BENCH_PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)
FRAMEWORK ?= tensorflow==2.15

#   make bench-install [FRAMEWORK=...]    efsprov sync beside uv and pip, on a local disk
#   make soak [SOAK_OPTIONS='--syncs 50']    syncs in a row beside a busy installer

#   make bench-bundle [FRAMEWORK=...] [BUNDLE_OPTIONS='--rounds 1']    what a push sends, what a pull onto NFS takes

.PHONY: bench-bundle bench-sync bench-import bench-install soak

bench-sync: lab-packages
	PYTHONPATH=. $(BENCH_PYTHON) benchmarks/bench_sync.py '$(FRAMEWORK)' $(SYNC_OPTIONS)

bench-import: lab-packages
	PYTHONPATH=. $(BENCH_PYTHON) benchmarks/bench_import.py $(IMPORT_OPTIONS)

bench-install: install
	$(BIN)/python benchmarks/bench_install.py '$(FRAMEWORK)'

soak: install
	$(BIN)/python benchmarks/soak_sync.py '$(FRAMEWORK)' $(SOAK_OPTIONS)

bench-bundle: lab-packages
	PYTHONPATH=. $(BENCH_PYTHON) benchmarks/bench_bundle.py '$(FRAMEWORK)' $(BUNDLE_OPTIONS)
