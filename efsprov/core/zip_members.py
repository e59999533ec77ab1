"""Members of zip files, whose names may be anything: also nothing at all."""

from zipfile import ZipInfo


def is_folder(member: ZipInfo) -> bool:
    """Tell whether a member is a folder: its name ends with a slash (APPNOTE.TXT 4.4.17).

    `ZipInfo.is_dir` raises ``IndexError`` for an empty name before CPython 3.12.
    """
    return member.filename.endswith("/")
