"""Members of zip files by any name."""

import zipfile

import pytest

from efsprov.core.zip_members import is_folder


@pytest.mark.parametrize(("name", "folder"), [("a/", True), ("a", False), ("", False), ("/", True), ("a/b", False)])
def test_a_folder_is_what_ends_with_a_slash(name, folder):
    member = zipfile.ZipInfo("a")
    member.filename = name
    assert is_folder(member) == folder
