"""Files that shrink or are replaced while they are read end no process: of each reader of files that others may write."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from efsprov.core.errors import EfsprovError
from efsprov.models.formats.detect import inspect_model
from efsprov.pipeline.stage.elf import DamagedError, read_elf
from efsprov.pipeline.stage.hashing import hash_file
from efsprov.pipeline.stage.zip_layout import LayoutError, check_layout
from efsprov.pipeline.tools.file_bytes import ChangedError, file_bytes

SIZE = 3 << 20
ROUNDS = 20


def check_zip(path):
    with suppress(LayoutError):
        check_layout(path, [])


def check_elf(path):
    with suppress(DamagedError):
        read_elf(path)


def check_model(path):
    with suppress(EfsprovError):
        inspect_model(path.parent, [path.name])


def check_bytes(path):
    with suppress(ChangedError), file_bytes(path) as data:
        data.read(0, SIZE)
        data.rfind(b"PK", SIZE // 2)


READERS = [lambda path: hash_file(str(path), "sha256"), check_elf, check_zip, check_bytes, check_model]
STARTS = {
    "elf": b"\x7fELF\x02\x01\x01",
    "tflite": b"\x1c\0\0\0TFL3",
    "onnx": b"\x08\x07",
    "zip": b"PK\x03\x04",
    "bin": b"",
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("reader", READERS, ids=["hashing", "elf", "zip", "bytes", "model"])
def test_a_file_that_shrinks_and_grows_ends_nobody(tmp_path, reader, start):
    path = tmp_path / f"file.{start}"
    content = STARTS[start] + os.urandom(SIZE)
    path.write_bytes(content)
    done = threading.Event()

    def shrink():
        while not done.is_set():
            os.truncate(path, 0)
            os.truncate(path, SIZE // 3)
            with path.open("r+b") as file:
                file.write(content)
            fresh = path.with_suffix(".new")
            fresh.write_bytes(content[: SIZE // 2])
            fresh.replace(path)

    thread = threading.Thread(target=shrink)
    thread.start()
    try:
        for _ in range(ROUNDS // 10 if reader is check_model else ROUNDS):
            with suppress(OSError):
                reader(path)
    finally:
        done.set()
        thread.join()


def test_bytes_are_those_of_the_file(tmp_path):
    content = os.urandom(300_000) + b"needle" + os.urandom(70_000)
    path = Path(tmp_path / "file")
    path.write_bytes(content)
    with file_bytes(path) as data:
        assert len(data) == len(content)
        assert (data[0], data[-1]) == (content[0], content[-1])
        for start, stop in [(0, 10), (65_530, 65_550), (1, 200_000), (299_999, 400_000), (5, 5), (-10, None)]:
            assert data[start:stop] == content[start:stop]
        assert (data.find(b"needle", 0), data.rfind(b"needle", 10)) == (300_000, 300_000)
        assert data.find(b"needle", 300_001) == -1
        with pytest.raises(IndexError):
            data[len(content)]
    os.truncate(path, 10)


def test_what_was_cut_since_it_was_opened_is_reported(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 200_000)
    with file_bytes(path) as data:
        os.truncate(path, 100)
        with pytest.raises(ChangedError):
            data.read(150_000, 10)
