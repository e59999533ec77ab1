# What takes minutes about models: five gigabytes onto the NFS lab's mount, the tutorial's commands, and the figures of
# docs/explanation/choosing.md.

.PHONY: models-slow demo-model bench-models

models-slow: install lab-packages
	$(BIN)/pytest -m slow -s tests/models

demo-model: install
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python docs/run_commands.py docs/tutorial/model.md

bench-models: install lab-packages
	PYTHONPATH=. $(BIN)/python benchmarks/model_choice.py --lab
