# Releases in other forms, the slow way (docs/reference/bundle.md): real packages as layers, layers that go through S3.
#   make bundle-slow
.PHONY: bundle-slow
bundle-slow: install lab-packages
	$(BIN)/pytest -n 2 -m slow tests/bundle tests/cli/verbs/test_layer.py
