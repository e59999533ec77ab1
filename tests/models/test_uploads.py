from dataclasses import replace
from functools import partial

import pytest

from efsprov.core.errors import UsageError
from efsprov.core.events import SILENT
from efsprov.models.provision import Provision, provision
from efsprov.models.source import LocalSource
from efsprov.models.uploads import SEQUENCER, Upload, name_of, read_uploads, superseded_by
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.current import read_current
from efsprov.store.journal import read_state
from efsprov.store.layout import Root


def notification(key: str, *, name: str = "ObjectCreated:Put", **extra) -> dict:
    """An event as S3 sends it."""
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": name,
                "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 1, "eTag": "e", **extra}},
            }
        ]
    }


def event_bridge(key: str, *, kind: str = "Object Created", **extra) -> dict:
    """An event as EventBridge sends it."""
    return {
        "source": "aws.s3",
        "detail-type": kind,
        "detail": {"bucket": {"name": "b"}, "object": {"key": key, "size": 1, "etag": "e", **extra}},
    }


def test_events_of_s3_and_of_eventbridge_say_the_same():
    wanted = (Upload("b", "models/my net+1.onnx", "v1", "0A"),)
    assert read_uploads(notification("models/my+net%2B1.onnx", versionId="v1", sequencer="0A")) == wanted
    assert read_uploads(event_bridge("models/my net+1.onnx", **{"version-id": "v1", "sequencer": "0A"})) == wanted


@pytest.mark.parametrize(
    "event",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"},
        notification("k", name="ObjectRemoved:Delete"),
        event_bridge("k", kind="Object Deleted"),
        {"Records": []},
    ],
)
def test_what_is_no_upload_is_passed_over(event):
    assert read_uploads(event) == ()


@pytest.mark.parametrize("event", [{}, [], None, {"Records": [{"body": "sqs"}]}, {"detail": {}}, "text"])
def test_other_events_are_refused(event):
    with pytest.raises(UsageError, match="is not an event about uploads"):
        read_uploads(event)


@pytest.mark.parametrize(
    ("key", "name", "folder", "source"),
    [
        ("models/net.onnx", "net", False, "models/net.onnx"),
        ("models/Net.tar.gz", "net", False, "models/Net.tar.gz"),
        ("models/resnet50-v1.5.safetensors", "resnet50-v1.5", False, "models/resnet50-v1.5.safetensors"),
        ("models/net/_SUCCESS", "net", True, "models/net/"),
        ("models/net/1/_SUCCESS", "net", True, "models/net/1/"),
    ],
)
def test_key_names_the_model(key, name, folder, source):
    upload = Upload("b", key)
    assert (name_of(upload, "models/"), upload.is_folder, upload.source_key) == (name, folder, source)


@pytest.mark.parametrize("key", ["elsewhere/net.onnx", "models/", "models"])
def test_key_outside_of_the_prefix_is_refused(key):
    with pytest.raises(UsageError):
        name_of(Upload("b", key), "models/")


@pytest.mark.parametrize(
    ("known", "sequencer", "later"),
    [
        ("0A", "0A", True),
        ("0B", "0A", True),
        ("0A", "0B", False),
        ("0A1", "0A", True),
        ("0A", "0A1", False),
        ("0A", "", False),
    ],
)
def test_sequencers_order_the_uploads_of_a_key(tmp_path, make_safetensors, monkeypatch, known, sequencer, later):
    monkeypatch.setenv("EFSPROV_CACHE", str(tmp_path / "cache"))
    path = make_safetensors()
    channel = Root.open(tmp_path / "root", writing=True).channel("net", kind="model")
    wanted = Provision(origin={SEQUENCER: known})
    release = provision(channel, LocalSource(path), wanted, ProgressReporter(SILENT)).release
    state = read_state(channel)
    assert superseded_by(channel, state, str(path), sequencer) == (release if later else None)
    assert superseded_by(channel, state, "s3://another/key", sequencer) is None


def test_an_upload_whose_publisher_was_killed_before_it_was_current_is_gone_on_with(
    tmp_path, make_safetensors, monkeypatch
):
    monkeypatch.setenv("EFSPROV_CACHE", str(tmp_path / "cache"))
    source = LocalSource(make_safetensors())
    channel = Root.open(tmp_path / "root", writing=True).channel("net", kind="model")
    later = partial(superseded_by, uri=source.uri, sequencer="0A")
    wanted = Provision(origin={SEQUENCER: "0A"}, superseded_by=later)
    left = provision(channel, source, replace(wanted, activate=False), ProgressReporter(SILENT))
    again = provision(channel, source, wanted, ProgressReporter(SILENT))
    assert (again.outcome, again.release) == ("reactivated", left.release)
    assert provision(channel, source, wanted, ProgressReporter(SILENT)).outcome == "superseded"


def test_an_upload_that_is_superseded_repairs_current(tmp_path, make_safetensors, monkeypatch):
    monkeypatch.setenv("EFSPROV_CACHE", str(tmp_path / "cache"))
    source = LocalSource(make_safetensors())
    channel = Root.open(tmp_path / "root", writing=True).channel("net", kind="model")
    later = partial(superseded_by, uri=source.uri, sequencer="0A")
    wanted = Provision(origin={SEQUENCER: "0A"}, superseded_by=later)
    release = provision(channel, source, wanted, ProgressReporter(SILENT)).release
    channel.current.unlink()
    assert provision(channel, source, wanted, ProgressReporter(SILENT)).outcome == "superseded"
    assert read_current(channel) == release
