"""Makes wheels and libraries that nobody should trust."""

import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from efsprov.core.lock import Lock, LockedFile, LockedPackage
from efsprov.pipeline.stage.hashing import hash_files
from tests.wheelhouse import build_wheel

X86_64, AARCH64, I386, CUDA = 62, 183, 3, 190


def locked(wheel: Path, url: str | None = None) -> LockedPackage:
    """Lock a wheel file as it is."""
    name, version = wheel.name.split("-")[:2]
    sha256 = hash_files(wheel.parent, {wheel.name: wheel.stat().st_size}, {})[wheel.name].sha256
    file = LockedFile(wheel.name, url or wheel.absolute().as_uri(), sha256, wheel.stat().st_size)
    return LockedPackage(name.replace("_", "-").lower(), version, (file,))


def lock_of(*wheels: Path, target: str = "") -> Lock:
    return Lock(tuple(sorted(locked(wheel) for wheel in wheels)), target)


def rewrite(wheel: Path, change) -> Path:
    """Write a wheel again with the members that ``change`` makes of (name, content) pairs."""
    with zipfile.ZipFile(wheel) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in change(members):
            info = member if isinstance(member, zipfile.ZipInfo) else zipfile.ZipInfo(member, (2026, 1, 1, 0, 0, 0))
            archive.writestr(info, content)
    return wheel


def with_extra(folder: Path, *extra, name: str = "tiny", files: Mapping | None = None) -> Path:
    """Build an honest wheel and then put members into it that its RECORD does not list."""
    return rewrite(build_wheel(folder, name, "1.0", files), lambda members: [*members, *extra])


def with_record(folder: Path, change, *, files: Mapping | None = None) -> Path:
    """Build a wheel whose RECORD's lines are what ``change`` makes of the honest ones."""

    def changed(members):
        for member, content in members:
            if member.endswith("/RECORD"):
                yield member, "\n".join([*change(content.decode().splitlines()), ""])
            else:
                yield member, content

    return rewrite(build_wheel(folder, "tiny", "1.0", files), changed)


def elf(
    needs: Sequence[tuple[str, Iterable[str]]] = (),
    *,
    machine: int = X86_64,
    kind: int = 3,
    address: int = 0x10000,
    needed: Sequence[str] = (),
    soname: str = "",
) -> bytes:
    """Write a shared object that has nothing but the version ``needs``, [(library, [version])], and no sections.

    ``needed`` are its DT_NEEDED, ``soname`` its DT_SONAME.
    """
    strings, offsets = b"\0", {}
    for text in [*(t for library, versions in needs for t in (library, *versions)), *needed, *filter(None, [soname])]:
        offsets.setdefault(text, len(strings))
        if offsets[text] == len(strings):
            strings += text.encode() + b"\0"
    start = 64 + 2 * 56
    verneed = b""
    for number, (library, versions) in enumerate(needs):
        names = list(versions)
        following = 16 + 16 * len(names) if number + 1 < len(needs) else 0
        verneed += struct.pack("<HHLLL", 1, len(names), offsets[library], 16, following)
        for at, version in enumerate(names):
            verneed += struct.pack("<LHHLL", 0, 0, at + 2, offsets[version], 16 if at + 1 < len(names) else 0)
    strings_at = start
    verneed_at = strings_at + len(strings)
    dynamic_at = verneed_at + len(verneed)
    tags = [(1, offsets[name]) for name in needed] + ([(14, offsets[soname])] if soname else [])
    tags += [(5, address + strings_at), (10, len(strings))]
    if needs:
        tags += [(0x6FFFFFFE, address + verneed_at), (0x6FFFFFFF, len(needs))]
    dynamic = b"".join(struct.pack("<qQ", *tag) for tag in [*tags, (0, 0)])
    end = dynamic_at + len(dynamic)
    header = struct.pack(
        "<16sHHLQQQLHHHHHH", b"\x7fELF\x02\x01\x01", kind, machine, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0
    )
    load = struct.pack("<LLQQQQQQ", 1, 4, 0, address, address, end, end, 0x1000)
    segment = struct.pack("<LLQQQQQQ", 2, 4, dynamic_at, address + dynamic_at, address, len(dynamic), len(dynamic), 8)
    return header + load + segment + strings + verneed + dynamic
