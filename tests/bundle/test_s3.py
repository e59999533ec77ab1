"""A prefix of S3 as a place, over HTTP, behind rules as strict as AWS's: conditional writes, ranges, parts, refusals."""

import hashlib
import threading

import pytest

from devtools.strict_aws.double import StrictAws
from efsprov.aws.object_store import ObjectStore
from efsprov.bundle.blobs import Kept, change_index, read_index
from efsprov.bundle.documents import MANIFEST, REF, Descriptor
from efsprov.bundle.s3 import S3Place
from efsprov.core.errors import AwsError, IntegrityError, NotFoundError
from efsprov.store.journal import read_state
from efsprov.store.verify import check_release
from tests.bundle.bundles import pull_into, push_current
from tests.models.s3 import session
from tests.store.minisync import build, open_channel, sync

BUCKET = "releases-of-ours"


@pytest.fixture
def double():
    with StrictAws() as aws:
        aws.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        aws.sent.clear()
        yield aws


@pytest.fixture
def place(double):
    return S3Place(ObjectStore(session(double.url), BUCKET, "a/prefix"))


def digest(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_release_goes_there_and_comes_back(channel, place, double, tmp_path):
    pushed = push_current(channel, place)
    assert place.name == f"s3://{BUCKET}/a/prefix"
    keys = {o["Key"] for o in double.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert {"a/prefix/index.json", "a/prefix/oci-layout", f"a/prefix/blobs/sha256/{pushed.digest[7:]}"} <= keys
    assert len(keys) == pushed.layers + 4
    other = open_channel(tmp_path / "other")
    done = pull_into(other, place)
    assert check_release(other, done.manifest.id, full=True) == ()
    assert push_current(other, place).digest == pushed.digest


def test_what_is_there_is_neither_sent_nor_fetched_again(channel, place, double, tmp_path):
    first = push_current(channel, place)
    other = open_channel(tmp_path / "other")
    pull_into(other, place)
    double.sent.clear()
    again = push_current(channel, place)
    assert (again.digest, again.blobs) == (first.digest, 0)
    assert len(double.named("s3:PutObject")) == 3, "config, manifest, index"
    sync(channel, build(tmp_path / "builds", 2, extra=30, modules=8))
    second = push_current(channel, place)
    assert second.blobs < second.layers + 1
    assert {d.digest for d in read_index(place).manifests} == {first.digest, second.digest}
    pull_into(other, place, read_state(channel).current)


def test_a_blob_of_many_parts_and_its_ranges(place):
    content = b"".join(bytes([n]) * (1 << 20) for n in range(20))
    place.put(digest(content), len(content), (content[at : at + 3_000_000] for at in range(0, len(content), 3_000_000)))
    assert place.has(digest(content), len(content))
    assert not place.has(digest(content), len(content) - 1)
    assert place.read(digest(content), 5_000_000, 3_000_000) == content[5_000_000:8_000_000]
    assert place.read(digest(content), len(content) - 3, 10) == content[-3:]
    assert place.read(digest(content), len(content), 10) == b""


def test_an_upload_that_fails_leaves_neither_an_object_nor_parts(place, double):
    def chunks():
        yield b"x" * (20 << 20)
        raise IntegrityError("made up")

    with pytest.raises(IntegrityError, match="made up"):
        place.put(digest(b"x"), 30 << 20, chunks())
    s3 = double.client("s3")
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)
    assert not s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads")


def test_what_is_not_there_is_named(place):
    with pytest.raises(NotFoundError, match="has no blob sha256:"):
        place.read(digest(b""), 0, 10)
    with pytest.raises(NotFoundError, match="There are no bundles at s3://releases-of-ours/a/prefix"):
        read_index(place)
    assert place.read_index() == Kept(None)


def test_an_index_is_replaced_only_as_it_was_read(place):
    none = place.read_index()
    assert place.replace_index(b'{"manifests":[]}', none)
    assert not place.replace_index(b'{"manifests":[7]}', none)
    one = place.read_index()
    assert place.replace_index(b'{"manifests": []}', one)
    assert not place.replace_index(b'{"manifests":[8]}', one)
    assert place.read_index().content == b'{"manifests": []}'


@pytest.mark.parametrize("lose", ["lose_request", "lose_reply"])
def test_a_lost_reply_of_the_index_is_no_conflict(place, double, lose):
    assert place.replace_index(b'{"manifests":[]}', place.read_index())
    kept = place.read_index()
    getattr(double, lose)("s3:PutObject")
    assert place.replace_index(b'{"manifests": []}', kept)


def test_all_of_those_who_change_the_index_at_once_are_in_it(place):
    def add(name):
        made = Descriptor(mediaType=MANIFEST, digest=digest(name.encode()), size=1, annotations={REF: name})
        change_index(place, lambda index: index.with_bundle(made))

    threads = [threading.Thread(target=add, args=(f"bundle{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {d.ref for d in read_index(place).manifests} == {f"bundle{n}" for n in range(6)}


def test_a_refusal_says_what_it_takes(channel, place, double):
    double.fail("s3:GetObject", "AccessDenied", status=403, times=9)
    with pytest.raises(AwsError, match=r"Access to s3://releases-of-ours/a/prefix/index\.json is denied") as caught:
        read_index(place)
    assert "s3:GetObject" in caught.value.hint


def test_throttling_is_survived(channel, place, double, tmp_path):
    for action in ("s3:PutObject", "s3:GetObject", "s3:HeadObject"):
        double.fail(action, "SlowDown", status=503, times=2)
    push_current(channel, place)
    double.fail("s3:GetObject", "SlowDown", status=503, times=2)
    other = open_channel(tmp_path / "other")
    assert check_release(other, pull_into(other, place).manifest.id, full=True) == ()
