"""Wheels, models, indexes and libraries with damaged bytes: refused in one message, or read."""

import importlib.util
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efsprov.models.formats.detect import inspect_model
from efsprov.pipeline.stage.elf import DamagedError, read_elf
from efsprov.pipeline.stage.inspect_wheel import inspect
from tests.fuzz.mutation import damaged, edits, fuzzed
from tests.pipeline.forge import locked, rewrite
from tests.wheelhouse import build_wheel

SAMPLES = Path(__file__).parents[1] / "models" / "samples"
FILES = sorted(path.relative_to(SAMPLES) for path in SAMPLES.rglob("*") if path.is_file() and path.suffix != ".json")
_SPEC = importlib.util.spec_from_file_location(
    "_index_alone", Path(__file__).parents[2] / "efsprov" / "bootstrap" / "_index.py"
)
reader = importlib.util.module_from_spec(_SPEC)  # without the package around it, which would pin a release
_SPEC.loader.exec_module(reader)
METADATA_FILES = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    info = "tiny-1.0.dist-info"
    files = {
        "tiny/__init__.py": "X = 1\n",
        "tiny-1.0.data/scripts/run": "#!python\n",
        f"{info}/entry_points.txt": "[console_scripts]\nrun = tiny:main\n",
        f"{info}/top_level.txt": "tiny\n",
    }
    return build_wheel(tmp_path_factory.mktemp("fuzz"), "tiny", "1.0", files, requires=["six>=1"])


@fuzzed
@given(changes=edits())
def test_wheels(budget, wheel, changes):
    file = wheel.parent / "damaged" / wheel.name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(damaged(wheel.read_bytes(), changes))
    with budget.input():
        inspect(file, locked(file))


@pytest.mark.parametrize("name", METADATA_FILES)
@fuzzed
@given(changes=edits())
def test_metadata_of_wheels(budget, wheel, name, changes):
    file = wheel.parent / "metadata" / wheel.name
    file.parent.mkdir(exist_ok=True)
    shutil.copy(wheel, file)
    rewrite(file, lambda members: [(m, damaged(c, changes) if m.endswith(f"/{name}") else c) for m, c in members])
    with budget.input():
        inspect(file, locked(file))


@pytest.mark.parametrize("sample", FILES, ids=str)
@fuzzed
@given(changes=edits())
def test_models(budget, tmp_path_factory, sample, changes):
    top = tmp_path_factory.getbasetemp() / "fuzz-model" / sample.stem
    shutil.rmtree(top, ignore_errors=True)
    shutil.copytree((SAMPLES / sample).parent if len(sample.parts) > 1 else SAMPLES / "external", top)
    target = top / sample.name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(damaged((SAMPLES / sample).read_bytes(), changes))
    names = sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file())
    with budget.input():
        inspect_model(top, names)


@pytest.mark.parametrize("member", ["config.json", "metadata.json", "model.weights.h5"])
@fuzzed
@given(changes=edits())
def test_members_of_keras_files(budget, tmp_path_factory, member, changes):
    top = tmp_path_factory.getbasetemp() / "fuzz-keras"
    top.mkdir(exist_ok=True)
    with zipfile.ZipFile(SAMPLES / "dense.keras") as sound, zipfile.ZipFile(top / "m.keras", "w") as made:
        for name in sound.namelist():
            content = sound.read(name)
            made.writestr(name, damaged(content, changes) if name == member else content)
    with budget.input():
        inspect_model(top, ["m.keras"])


@fuzzed
@given(
    name=st.sampled_from(["m.bin", "m.pt", "m.onnx", "m.tflite", "m.safetensors", "m.h5", "m.npy", "m.pb", "m"]),
    content=st.binary(max_size=400),
)
def test_anything_by_the_name_of_a_model(budget, tmp_path_factory, name, content):
    top = tmp_path_factory.getbasetemp() / "fuzz-any"
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir()
    (top / name).write_bytes(content)
    with budget.input():
        inspect_model(top, [name])


@fuzzed
@given(changes=edits())
def test_libraries(budget, tmp_path_factory, changes):
    sound = Path(sys.executable).resolve().read_bytes()[: 1 << 20]
    file = tmp_path_factory.getbasetemp() / "fuzz.so"
    file.write_bytes(damaged(sound, changes))
    with budget.input():
        try:
            read_elf(file)
        except DamagedError as error:
            assert str(error)  # noqa: PT017 (so is success)


@fuzzed
@given(changes=edits())
def test_indexes(budget, tmp_path_factory, changes):
    """An index is believed only with its checksum: what is damaged is reported in one line, and imports are plain."""
    release = tmp_path_factory.getbasetemp() / "fuzz-release"
    release.mkdir(exist_ok=True)
    figures = dict.fromkeys(reader.FIGURES, 0)
    body = reader.marshal.dumps(
        (reader._imp.extension_suffixes(), [], {}, b"", reader.marshal.dumps(([], [], {}, {}, {}, False)), "")
    )
    content = reader.header(body, 0, figures) + body
    (release / reader.INDEX_NAME).write_bytes(damaged(content, changes))
    with budget.input():
        try:
            assert isinstance(reader.Index(str(release)), reader.Index)
        except reader.UnusableError as error:
            assert str(error)  # noqa: PT017 (so is success)
