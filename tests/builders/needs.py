"""Wheels of what efsprov needs on a host, made from what is installed here: so that tests need no index."""

import base64
import hashlib
import re
import zipfile
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

from efsprov.builders.installation import pinned_needs


def build_needs(folder: Path, version: str, machine: str) -> Path:
    """Write the wheels into ``folder`` and return it."""
    for pin in pinned_needs(version, machine):
        _repack(Requirement(pin).name, folder)
    return folder


def _repack(name: str, folder: Path) -> None:
    installed = distribution(name)
    info = re.sub(r"[-.]+", "_", f"{installed.metadata['Name']}") + f"-{installed.version}.dist-info"
    found = next(str(file) for file in installed.files or () if str(file).endswith(".dist-info/WHEEL"))
    old_info = found.rpartition("/")[0]
    tags = re.findall(r"^Tag: (.*)$", installed.read_text("WHEEL") or "", re.MULTILINE)
    members = {}
    for file in installed.files or ():
        inside, place = str(file), Path(str(installed.locate_file(file)))
        if inside.endswith((".pyc", "RECORD", "INSTALLER", "REQUESTED", "direct_url.json")) or not place.is_file():
            continue
        if inside.startswith("../"):  # a program
            inside = f"{info.removesuffix('.dist-info')}.data/scripts/{place.name}"
        members[inside.replace(old_info, info)] = (place.read_bytes(), place.stat().st_mode)
    record = [f"{i},sha256={_hash(content)},{len(content)}" for i, (content, _) in members.items()]
    members[f"{info}/RECORD"] = ("\n".join([*record, f"{info}/RECORD,,", ""]).encode(), 0o100644)
    python, abi, platform = tags[0].split("-")
    platforms = ".".join(dict.fromkeys(tag.split("-")[2] for tag in tags))
    wheel = folder / f"{info.removesuffix('.dist-info')}-{python}-{abi}-{platforms or platform}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_STORED) as archive:
        for inside, (content, mode) in members.items():
            member = zipfile.ZipInfo(inside, (2026, 1, 1, 0, 0, 0))
            member.external_attr = (mode | 0o100000) << 16
            archive.writestr(member, content)


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
