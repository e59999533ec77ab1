import hashlib
import multiprocessing
import os
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from efsprov.core.errors import BusyError, FetchError, ModelError, UsageError
from efsprov.core.events import SILENT
from efsprov.core.retention import Rules
from efsprov.models.formats.inspection import RISKS
from efsprov.models.manifest import read_model_manifest
from efsprov.models.provision import Provision, provision
from efsprov.models.source import Gathered, LocalSource
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.current import read_current
from efsprov.store.journal import read_state
from efsprov.store.layout import Root
from efsprov.store.prune import execute_prune, plan_prune
from efsprov.store.publish import rollback
from efsprov.store.publisher_lock import publisher_lock
from efsprov.store.verify import check_channel, check_release
from tests.models.conftest import write_safetensors, write_zip


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("EFSPROV_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def channel(tmp_path):
    return Root.open(tmp_path / "root", writing=True).channel("net", kind="model")


def push(channel, path, **wanted):
    return provision(channel, LocalSource(path), Provision(**wanted), ProgressReporter(SILENT))


def tree(path):
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file() and not p.is_symlink()}


def test_file_becomes_a_release_that_is_current(channel, make_safetensors):
    path = make_safetensors()
    done = push(channel, path, meta={"accuracy": "0.97"}, made_for="torch")
    assert done.outcome == "published"
    assert (channel.current / "files" / "model.safetensors").read_bytes() == path.read_bytes()
    manifest = read_model_manifest(channel, done.release)
    assert manifest.kind == "model"
    assert manifest.meta == {"accuracy": "0.97"}
    assert manifest.model.format == "safetensors"
    assert manifest.model.entry == "model.safetensors"
    assert manifest.model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest.model.origin == {"uri": str(path)}
    assert manifest.model.made_for == "torch"
    assert check_release(channel, done.release, full=True) == ()
    assert check_channel(channel) == ()


def test_folder_becomes_a_release(channel, samples):
    done = push(channel, samples / "dense_savedmodel")
    assert tree(done.path / "files") == tree(samples / "dense_savedmodel")
    assert done.manifest.model.entry == ""


def test_a_release_is_nobody_elses_file(channel, make_safetensors):
    """The cache and the root are one file system here: a link to the user's file would change with it."""
    path = make_safetensors()
    done = push(channel, path)
    path.write_bytes(b"changed in place")
    assert check_release(channel, done.release, full=True) == ()


def test_everybody_may_read_a_release(channel, tmp_path, make_safetensors):
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    shutil.copy(make_safetensors(), folder / "model.safetensors")
    (folder / "model.safetensors").chmod(0o600)
    before = os.umask(0o077)
    try:
        done = push(channel, folder)
    finally:
        os.umask(before)
    assert (done.path / "files").stat().st_mode & 0o777 == 0o755
    assert (done.path / "files" / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_the_same_model_is_published_once(channel, make_safetensors):
    first = push(channel, make_safetensors(), meta={"a": "1"})
    again = push(channel, make_safetensors(), meta={"a": "1"})
    assert (again.outcome, again.release) == ("unchanged", first.release)
    other = push(channel, make_safetensors(), meta={"a": "2"})
    assert other.outcome == "published"


def test_an_earlier_model_becomes_current_again(channel, make_safetensors):
    first = push(channel, make_safetensors(fill=1))
    push(channel, make_safetensors(fill=2))
    again = push(channel, make_safetensors(fill=1))
    assert (again.outcome, again.release) == ("reactivated", first.release)
    assert read_state(channel).current == first.release


def test_an_earlier_model_becomes_current_again_after_whoever_publishes(channel, make_safetensors):
    """It may be what they have just published and are about to make current."""
    first = push(channel, make_safetensors(fill=1))
    push(channel, make_safetensors(fill=2))
    with publisher_lock(channel, wait=False):
        with pytest.raises(BusyError):
            push(channel, make_safetensors(fill=1), wait=False)
        assert push(channel, make_safetensors(fill=2), wait=False).outcome == "unchanged"
    assert read_state(channel).current != first.release


def test_the_same_model_again_repairs_current_where_a_publisher_died_before_the_swap(channel, make_safetensors):
    done = push(channel, make_safetensors())
    channel.current.unlink()
    assert push(channel, make_safetensors()).outcome == "unchanged"
    assert read_current(channel) == done.release


def test_rollback_and_prune_are_those_of_dependencies(channel, make_safetensors):
    releases = [push(channel, make_safetensors(fill=n)).release for n in range(4)]
    assert rollback(channel) == (releases[3], releases[2])
    rules = Rules(keep_last=1, grace=timedelta(0))
    report = execute_prune(channel, plan_prune(channel, rules))
    assert report.pruned == (releases[0],)
    assert check_channel(channel) == ()


def test_no_activate_leaves_current_as_it_is(channel, make_safetensors):
    first = push(channel, make_safetensors(fill=1))
    second = push(channel, make_safetensors(fill=2), activate=False)
    assert not second.activated
    assert read_state(channel).current == first.release


@pytest.mark.parametrize(
    "name", ["lambda.keras", "dense.h5", "linear_script.pt", "linear_module.pt", "writes_savedmodel"]
)
def test_what_runs_code_needs_trust_and_changes_nothing_without(channel, samples, name):
    with pytest.raises(ModelError, match="may run code when it is loaded"):
        push(channel, samples / name)
    assert not channel.root.path.exists()
    done = push(channel, samples / name, trusted=frozenset(RISKS))
    assert len(done.manifest.model.trusted) == 1


@pytest.mark.parametrize("name", ["dense.keras", "dense.tflite", "matmul.onnx", "linear_state.pt", "dense_savedmodel"])
def test_what_only_holds_data_needs_none(channel, samples, name):
    assert push(channel, samples / name).manifest.model.trusted == ()


def test_pin_of_a_file_holds(channel, make_safetensors):
    path = make_safetensors()
    wrong = "0" * 64
    with pytest.raises(FetchError, match="is not what --sha256 pins"):
        push(channel, path, sha256=wrong)
    assert not channel.root.path.exists()
    push(channel, path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_pin_of_a_folder_is_what_show_shows(channel, samples):
    digest = push(channel, samples / "external").manifest.model.sha256
    push(channel, samples / "external", sha256=digest)
    with pytest.raises(FetchError, match="of its file list"):
        push(channel, samples / "dense_savedmodel", sha256=digest)


def test_archive_is_unpacked_and_its_own_hash_is_the_pin(channel, samples, tmp_path):
    path = write_zip(tmp_path / "m.zip", {"net/matmul.onnx": (samples / "matmul.onnx").read_bytes()})
    done = push(channel, path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert done.manifest.model.format == "onnx"
    assert done.manifest.model.entry == "net/matmul.onnx"
    assert sorted(tree(done.path)) == ["files.list", "files/net/matmul.onnx", "release.json"]


def test_links_in_a_folder_are_followed(channel, tmp_path, make_safetensors):
    """As in the cache of a model hub, where a folder of links names blobs."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    shutil.move(make_safetensors(), blobs / "abc")
    (snapshot / "model.safetensors").symlink_to("../blobs/abc")
    (snapshot / "tokenizer").symlink_to(blobs)
    done = push(channel, snapshot)
    assert sorted(tree(done.path / "files")) == ["model.safetensors", "tokenizer/abc"]


def test_version_control_is_no_part_of_a_model(channel, tmp_path, make_safetensors):
    folder = tmp_path / "repo"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref")
    shutil.copy(make_safetensors(), folder)
    assert sorted(tree(push(channel, folder).path / "files")) == ["model.safetensors"]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: None, UsageError, "There is no file or folder"),
        (lambda p: p.mkdir(), ModelError, "holds no files"),
        (os.mkfifo, ModelError, "is neither a file nor a folder"),
        (
            lambda p: (p.mkdir(), (p / "a").symlink_to("nowhere")),
            ModelError,
            "is a link to nowhere, which does not exist",
        ),
        (lambda p: (p.mkdir(), (p / "a").symlink_to(".")), ModelError, "is a link to a folder above it"),
        (lambda p: (p.mkdir(), os.mkfifo(p / "pipe")), ModelError, "neither a file nor a folder"),
    ],
)
def test_what_is_no_model_is_refused(channel, tmp_path, make, error, message):
    make(tmp_path / "model")
    with pytest.raises(error, match=message):
        push(channel, tmp_path / "model")
    assert not channel.root.path.exists()


def cut(samples, folder):
    (folder / "net.onnx").write_bytes((samples / "matmul.onnx").read_bytes()[:60])
    return folder / "net.onnx"


@pytest.mark.parametrize(
    ("make", "called"),
    [
        (cut, "{0}/net.onnx is not a sound ONNX model"),
        (lambda samples, folder: cut(samples, folder).parent, "{0}/net.onnx is not a sound ONNX model"),
        (lambda samples, folder: write_zip(folder / "m.zip", {"../x": b""}), "{0}/m.zip has a member '../x'"),
        (
            lambda samples, folder: write_zip(folder / "m.zip", {"a/net.onnx": cut(samples, folder).read_bytes()}),
            "{0}/m.zip/a/net.onnx is not a sound ONNX model",
        ),
    ],
)
def test_what_is_wrong_is_called_as_the_user_calls_it(channel, samples, tmp_path, make, called):
    folder = tmp_path / "given"
    folder.mkdir()
    with pytest.raises(ModelError) as caught:
        push(channel, make(samples, folder))
    assert caught.value.message.startswith(called.format(folder))


@pytest.mark.parametrize(
    "wanted",
    [
        {"sha256": "abc"},
        {"sha256": "Z" * 64},
        {"made_for": "../x"},
        {"meta": {"": "x"}},
        {"meta": {"k": "v" * 1001}},
        {"meta": {str(n): "" for n in range(65)}},
    ],
)
def test_a_request_that_cannot_be_is_refused(channel, make_safetensors, wanted):
    with pytest.raises(UsageError):
        push(channel, make_safetensors(), **wanted)
    assert not channel.root.path.exists()


@dataclass
class Interrupted:
    """A source that is broken off the first time, and finds what it had brought the second time."""

    uri: str = "test://interrupted"
    resumable: bool = True
    found: list[str] | None = None

    def fetch(self, into, *, notes, share, progress):
        self.found = sorted(p.name for p in into.iterdir())
        write_safetensors(into / "model.safetensors", {"w": ("U8", [1], b"a")})
        (notes / "remembered").touch()
        if self.found == []:
            raise FetchError("The connection broke.")
        return Gathered({"uri": self.uri}, is_file=True)


def test_what_a_resumable_source_brought_stays_for_the_next_try(channel, tmp_path):
    source = Interrupted()
    with pytest.raises(FetchError):
        provision(channel, source, Provision(), ProgressReporter(SILENT))
    done = provision(channel, source, Provision(), ProgressReporter(SILENT))
    assert source.found == ["model.safetensors"]
    assert sorted(tree(done.path)) == ["files.list", "files/model.safetensors", "release.json"]
    kept = Path(os.environ["EFSPROV_CACHE"], "fetched")
    assert [each.name for each in kept.iterdir() if each.suffix != ".lock"] == []


def push_in_process(root, path, results):
    channel = Root.open(root, writing=True).channel("net", kind="model")
    results.put(push(channel, path).outcome)


def test_pushed_by_many_at_once_it_is_published_once(channel, make_safetensors):
    path = make_safetensors(floats=10_000)
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=push_in_process, args=(channel.root.path, path, results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    outcomes = sorted(results.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    assert outcomes == ["published", "unchanged", "unchanged", "unchanged"]
    assert len(read_state(channel).live) == 1
    assert check_channel(channel) == ()
