"""docs/reference/json.md as data: the keys that it names, held against a document."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs/reference/json.md").read_text()


def documented(command):
    section = PAGE.split(f"## `efsprov {command}`\n")[1].split("\n## ")[0]
    firsts = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    return {key for first in firsts for key in re.findall(r"`([^`]+)`", first)}


def keys(value, path, *, known):
    """The paths of a document's keys, no deeper than the page goes; of an empty list ``path[]``."""
    if path in known or not isinstance(value, dict | list) or value == {}:
        return {path}
    if isinstance(value, list):
        return set().union(*(keys(each, f"{path}[]", known=known) for each in value)) or {f"{path}[]"}
    return set().union(*(keys(each, f"{path}.{key}".lstrip("."), known=known) for key, each in value.items()))


def differences(document, known):
    """Keys that the page does not name, and keys that it names and that are not there (in a list that is not empty)."""
    found = keys(document, "", known=known)
    empty = tuple(path for path in found if path.endswith("[]"))
    unnamed = {path for path in found - known if path not in empty or not any(key.startswith(path) for key in known)}
    return unnamed, {key for key in known - found if not key.startswith(empty)}
