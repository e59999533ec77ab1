"""The steps from requirements to a release. `resolve` and `gate` run at the orchestrator, the rest on the builder."""
