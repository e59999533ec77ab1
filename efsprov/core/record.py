"""Reads a wheel's RECORD: which files it holds, with their hashes."""

import csv
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import Final

from efsprov.core.errors import BuildError
from efsprov.core.filelist import is_inside

# The binary distribution format demands sha256 or better, and only of RECORD itself and of its signatures no hash.
_LENGTHS: Final = {"sha256": 32, "sha384": 48, "sha512": 64}
UNHASHED: Final = ("RECORD", "RECORD.jws", "RECORD.p7s")


@dataclass(frozen=True, slots=True)
class RecordEntry:
    """A file's hash as RECORD has it: ``algorithm`` and ``digest`` in hex, both empty where none is asked for."""

    algorithm: str
    digest: str


def parse_record(text: str, *, dist_info: str, where: str) -> dict[str, RecordEntry]:
    """Return the entries of a RECORD by path; raises ``BuildError`` naming ``where`` and the entry at fault.

    Refused are paths that leave the wheel or come twice, and files without a strong hash.
    """
    entries: dict[str, RecordEntry] = {}
    unhashed = {f"{dist_info}/{name}" for name in UNHASHED}
    try:
        for row in csv.reader(text.splitlines()):
            if not row:
                continue
            path, result = (row[0], row[1]) if len(row) > 1 else (row[0], "")
            if not is_inside(path):
                raise _refused(where, f"{path!r} is not a path inside the wheel")
            if path in entries:
                raise _refused(where, f"{path} is listed twice")
            algorithm, _, encoded = result.partition("=")
            if path in unhashed and not result:
                entries[path] = RecordEntry("", "")
                continue
            digest = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            if len(digest) != _LENGTHS.get(algorithm):
                raise _refused(where, f"{path} has no SHA-256 or better")
            entries[path] = RecordEntry(algorithm, digest.hex())
    except (csv.Error, Base64Error, ValueError) as error:
        raise _refused(where, f"it cannot be read: {error}") from error
    return entries


def _refused(where: str, what: str) -> BuildError:
    return BuildError(
        f"{where} is refused, for its RECORD: {what}.",
        hint="The wheel is damaged or was tampered with: take another version, or ask who made it.",
    )
