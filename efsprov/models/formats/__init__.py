"""What a model's files are: one module a format, each reading structure only. Nothing here executes what it reads."""
