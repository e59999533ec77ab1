"""Call hooks of a build backend (PEP 517) on an unpacked source; run by the target's interpreter (3.9 or newer).

usage: python build_wheel.py ARCHIVE FOLDER BACKEND BACKEND_PATH(JSON) requires|OUT REPORT

ARCHIVE is unpacked into FOLDER, unless that is there. REPORT gets a JSON value: the requirements that the backend wants besides those
of pyproject.toml, or the file name of the wheel that it put into OUT.
"""

# ruff: noqa: PTH102, PTH112, PTH118, PTH123, PTH208, S202

import importlib
import json
import os
import sys
import tarfile
import zipfile


def unpack(archive: str, folder: str) -> None:
    """Unpack ARCHIVE into FOLDER."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(folder)
    else:
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(folder, filter="data")
            else:
                tar.extractall(folder)


def main(archive: str, folder: str, backend: str, paths: "list[str]", what: str, report: str) -> None:
    """Do WHAT in the unpacked source, as PEP 517 has it: there is the working directory, and it is not on ``sys.path``."""
    del sys.path[0]
    if not os.path.isdir(folder):
        os.mkdir(folder)
        unpack(archive, folder)
    names = os.listdir(folder)
    source = os.path.join(folder, names[0]) if len(names) == 1 else folder
    os.chdir(source)
    sys.path[:0] = [os.path.join(source, path) for path in paths]
    module, _, attributes = backend.partition(":")
    hooks = importlib.import_module(module)
    for attribute in attributes.split(".") if attributes else ():
        hooks = getattr(hooks, attribute)
    if what == "requires":
        ask = getattr(hooks, "get_requires_for_build_wheel", None)
        answer: object = list(ask(None)) if ask else []
    else:
        answer = str(hooks.build_wheel(what, None, None))
    with open(report, "w", encoding="utf-8") as out:
        json.dump(answer, out)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4]), sys.argv[5], sys.argv[6])
