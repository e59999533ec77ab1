# What is released, and the proof that it works for people who install it and have no clone.
#   make release    builds dist/, checks it, and runs the tutorial from the wheel in a bare environment
.PHONY: release
release: install
	rm -rf dist
	$(BIN)/uv build --quiet --out-dir dist .
	$(BIN)/uv tool run --quiet twine check --strict dist/*.whl dist/*.tar.gz
	$(BIN)/uv venv --quiet --python $(PYTHON) dist/bare
	$(BIN)/uv pip install --quiet --python dist/bare/bin/python dist/*.whl
	cp -r handlers dist/  # the last command imports one; efsprov itself comes from the wheel
	cd dist && PATH="$(CURDIR)/dist/bare/bin:$$PATH" ./bare/bin/python ../docs/run_commands.py ../docs/tutorial/first-release.md
