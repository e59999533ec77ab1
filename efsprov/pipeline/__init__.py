"""From requirements to a release, stage by stage.

`resolve/` runs at the orchestrator, before anything is launched. It turns requirements and a target into a lock, holds
every wheel against the target (`core/gate.py`), and ends in a `BuildRequest` (`core/build.py`), which is one JSON document.
It installs nothing, and it writes nothing but caches.

Everything else runs on the builder, on the one request, and knows nothing of `resolve/`:

- `stage/` fetches the wheels of the lock and installs them into one empty local folder. It checks archives, RECORD,
  libraries and names. It runs no code of a package, except to build sdists when the request asks for that.
- `imports/` writes bytecode, imports the result in a fresh interpreter of the target (the smoke test), and writes the
  import index from what that run touched. The smoke test is the first moment at which a package's code runs.
- `publish/` copies the finished folder into staging on the root and makes it a release once. It is the only part that
  writes to the root, and it does so through `store/`.

`compose.py` is the order of `stage/` and `imports/`; `run.py` is the builder's entry: one request in, one release out.
`tools/` is what several stages use: uv, HTTP, the wheel cache, interpreters, scratch folders, progress.
"""
