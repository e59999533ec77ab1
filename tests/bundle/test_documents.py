"""The documents of a bundle: what they say, and what is refused."""

import json

import pytest

from efsprov.bundle import documents
from efsprov.bundle.documents import CONFIG, LAYER, MANIFEST, REF, Descriptor, ImageIndex
from efsprov.core.errors import IntegrityError, NotFoundError, UsageError
from tests.store.minisync import build, draft, open_channel

DIGEST = "sha256:" + "0" * 64


def descriptor(ref="tf.python3.11-x86_64.20261127T010203Z-0123abcd", digest=DIGEST):
    return Descriptor(mediaType=MANIFEST, digest=digest, size=1, annotations={REF: ref})


@pytest.fixture
def manifest(tmp_path):
    made = draft(open_channel(tmp_path / "root"), build(tmp_path, 1))
    return made.model_copy(update={"id": "20261127T010203Z-0123abcd", "files_sha256": "f" * 64})


def test_the_config_says_what_the_release_is_and_not_when_or_where_it_was_made(manifest):
    release, run = documents.describe(manifest)
    text = documents.config(release, [DIGEST])
    later = manifest.model_copy(
        update={
            "id": "20271127T010203Z-0123abcd",
            "tx": "another",
            "created": manifest.created.replace(year=2027),
            "builder": manifest.builder.model_copy(update={"host": "elsewhere", "kind": "ec2"}),
            "smoke": manifest.smoke.model_copy(update={"seconds": 9.0, "cpu_seconds": 1.0, "peak_bytes": 5}),
            "figures": manifest.figures.model_copy(update={"linked_files": 3, "seconds": {"copy": 1.0}}),
        }
    )
    assert documents.config(documents.describe(later)[0], [DIGEST]) == text
    said = {**release, **{name: value for name, value in run.items() if "." not in name}}
    assert said.keys() == manifest.model_dump().keys(), "both together say all that release.json does"
    assert documents.read_config(text, where="it").release == release


def test_the_config_is_one_that_image_tools_read(manifest):
    document = json.loads(documents.config(documents.describe(manifest)[0], [DIGEST]))
    assert (document["architecture"], document["os"]) == ("amd64", "linux")
    assert document["rootfs"] == {"type": "layers", "diff_ids": [DIGEST]}


def test_an_index_keeps_the_bundles_of_others():
    index = ImageIndex(manifests=(descriptor("a"), descriptor("b")))
    new = descriptor("b", "sha256:" + "1" * 64)
    assert [d.digest for d in index.with_bundle(new).manifests if d.ref == "b"] == [new.digest]
    assert {d.ref for d in index.with_bundle(descriptor("c")).manifests} == {"a", "b", "c"}
    assert documents.read_index(index.dump(), where="it") == index


@pytest.mark.parametrize(
    "wanted",
    ["tf.python3.11-x86_64.20261127T010203Z-0123abcd", "20261127T010203Z-0123abcd", "20261127", "tf", "sha256:000", ""],
)
def test_a_bundle_is_found_by_its_name_its_id_its_digest_and_how_they_begin(wanted):
    assert ImageIndex(manifests=(descriptor(),)).find(wanted, where="oci:x").digest == DIGEST


def test_what_is_not_there_or_not_one_is_refused_with_what_there_is():
    two = ImageIndex(manifests=(descriptor("tf.a"), descriptor("tf.b", "sha256:" + "1" * 64)))
    with pytest.raises(NotFoundError, match="no bundle 'torch'") as caught:
        two.find("torch", where="oci:x")
    assert "tf.a, tf.b" in caught.value.hint
    for wanted in ("tf", ""):
        with pytest.raises(UsageError, match="holds 2 bundles"):
            two.find(wanted, where="oci:x")
    assert two.find("tf.b", where="oci:x").ref == "tf.b"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(config={"mediaType": CONFIG, "digest": "md5:00", "size": 1}),
        lambda m: m["layers"][0].update(digest="sha256:../../x"),
        lambda m: m["layers"][0].update(size=-1),
        lambda m: m["layers"][0].update(size="large"),
        lambda m: m["layers"][0].update(mediaType="application/vnd.oci.image.layer.nondistributable.v1.tar"),
        lambda m: m.update(layers=[]),
        lambda m: m.update(layers=m["layers"] * 200),
        lambda m: m.update(layers=7),
        lambda m: m.pop("config"),
    ],
)
def test_a_manifest_that_is_none_is_refused(change):
    one = Descriptor(mediaType=LAYER, digest=DIGEST, size=1)
    config = Descriptor(mediaType=CONFIG, digest=DIGEST, size=1)
    document = json.loads(documents.image_manifest(config, [one]))
    documents.read_manifest(json.dumps(document).encode(), where="it")
    change(document)
    with pytest.raises(IntegrityError):
        documents.read_manifest(json.dumps(document).encode(), where="it")


@pytest.mark.parametrize("kind", ["tar+gzip", "tar+zstd"])
def test_layers_that_a_copy_compressed_are_refused_with_what_to_do(kind):
    layer = Descriptor(mediaType=f"application/vnd.oci.image.layer.v1.{kind}", digest=DIGEST, size=1)
    text = documents.image_manifest(Descriptor(mediaType=CONFIG, digest=DIGEST, size=1), [layer])
    with pytest.raises(IntegrityError, match="compressed") as caught:
        documents.read_manifest(text, where="it")
    assert "--preserve-digests" in caught.value.hint


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"7", b'"x"', b"null", b'{"manifests": 7}', b'{"manifests": [{}]}', b"\xff"]
)
def test_an_index_that_is_none_is_refused(text):
    with pytest.raises(IntegrityError, match="is not an OCI index"):
        documents.read_index(text, where="it")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"config": {"Labels": null}}',
        b'{"config": {"Labels": {"io.efsprov.release": "7"}}}',
        b"[" * 100_000,
    ],
)
def test_a_config_of_another_image_is_refused(text):
    with pytest.raises(IntegrityError, match="describes no release"):
        documents.read_config(text, where="it")


def test_a_config_of_a_later_format_is_refused():
    text = documents.config({"bundle": 2}, [])
    with pytest.raises(IntegrityError, match="has format 2"):
        documents.read_config(text, where="it")
