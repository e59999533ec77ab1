"""S3Source against moto as a server: real boto3, real sockets."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from devtools.strict_aws.double import StrictAws
from efsprov.aws.errors import code_of
from efsprov.aws.object_refusals import explain_refusal
from efsprov.aws.objects import S3Source
from efsprov.aws.session import Aws
from efsprov.core.errors import AwsError, FetchError, NotFoundError, UsageError
from efsprov.core.events import SILENT
from efsprov.models.provision import Provision, provision
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.layout import Root
from tests.models.conftest import SAMPLES
from tests.models.s3 import Cutting, before_last_look, before_range, session

MB = 1 << 20


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    with StrictAws() as double:
        yield double.url


@pytest.fixture
def aws(s3_url) -> Aws:
    return session(s3_url)


@pytest.fixture
def bucket(aws) -> str:
    name = f"b{uuid.uuid4().hex[:12]}"
    aws.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def put(aws, bucket):
    def put(key: str, content: bytes, **options) -> dict:
        return aws.client("s3").put_object(Bucket=bucket, Key=key, Body=content, **options)

    return put


@pytest.fixture
def fetch(aws, bucket, tmp_path):
    def fetch(key: str, progress=lambda done, total: None, **options):
        into = tmp_path / "into"
        into.mkdir(exist_ok=True)
        source = S3Source(options.pop("aws", aws), bucket, key, **options)
        return source.fetch(into, notes=tmp_path, share=False, progress=progress)

    return fetch


def there(tmp_path) -> dict[str, bytes]:
    into = tmp_path / "into"
    return {str(f.relative_to(into)): f.read_bytes() for f in into.rglob("*") if f.is_file()}


def test_object_comes_in_parts_side_by_side(put, fetch, tmp_path):
    content = os.urandom(10 * MB + 12345)
    etag = put("models/net.bin", content)["ETag"].strip('"')
    result = []
    brought = fetch("models/net.bin", lambda done, total: result.append((done, total)), part=MB, threads=4)
    assert there(tmp_path) == {"net.bin": content}
    assert brought.is_file
    assert brought.origin["etag"] == etag
    assert brought.origin["uri"].endswith("/models/net.bin")
    assert result[-1] == (len(content), len(content))


def test_all_below_a_prefix(put, fetch, tmp_path):
    files = {"saved_model.pb": b"graph", "variables/variables.index": b"i", "empty": b""}
    for name, content in files.items():
        put(f"net/{name}", content)
    put("net/", b"")
    put("network/other", b"not below net/")
    put("net/_SUCCESS", b"")
    brought = fetch("net", left_out=frozenset({"_SUCCESS"}))
    assert there(tmp_path) == files
    assert not brought.is_file


def test_more_objects_than_a_page_lists(put, fetch, tmp_path, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")  # moto runs in this process
    for number in range(25):
        put(f"net/{number:02}", str(number).encode())
    fetch("net/")
    assert len(there(tmp_path)) == 25


@pytest.mark.parametrize("key", ["nothing", "nothing/", ""])
def test_nothing_there(fetch, key):
    with pytest.raises(NotFoundError, match="There is nothing at s3://"):
        fetch(key)


def test_no_such_bucket(aws, tmp_path):
    with pytest.raises(NotFoundError, match=r"There is no bucket no-such-bucket\."):
        S3Source(aws, "no-such-bucket", "net/").fetch(tmp_path, notes=tmp_path, share=False, progress=lambda *_: None)


@pytest.mark.parametrize("key", ["cold/net.bin", "cold/"])
@pytest.mark.parametrize("kind", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_refused_before_anything_is_copied_until_it_is_restored(
    put, fetch, aws, bucket, tmp_path, key, kind
):
    put("cold/a", b"warm")
    put("cold/net.bin", b"x" * 100, StorageClass=kind)
    with pytest.raises(FetchError, match=f"s3://{bucket}/cold/net.bin is in an archive") as caught:
        fetch(key)
    assert f"restore-object --bucket {bucket} --key cold/net.bin" in caught.value.hint
    assert there(tmp_path) == {}
    aws.client("s3").restore_object(Bucket=bucket, Key="cold/net.bin", RestoreRequest={"Days": 1})
    fetch(key)
    assert there(tmp_path)["net.bin"] == b"x" * 100


def test_who_asks_pays_in_every_request(put, aws, bucket, s3_url, tmp_path):
    put("net/a", b"a" * 100)
    put("net/b", b"b" * 100, StorageClass="GLACIER_IR")
    payers = []
    telling = session(
        s3_url,
        event="before-send.s3",
        on_event=lambda request, **_: payers.append(request.headers.get("x-amz-request-payer")),
    )
    for pays in (True, False):
        payers.clear()
        into = tmp_path / str(pays)
        (into / "into").mkdir(parents=True)
        for key in ("net/", "net/a"):
            S3Source(telling, bucket, key, pays=pays).fetch(
                into / "into", notes=into, share=False, progress=lambda *_: None
            )
        assert {*payers} == {b"requester" if pays else None}


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        ("InvalidObjectState", "The operation is not valid for the object's storage class", "is in an archive"),
        (
            "InvalidRequest",
            "The object was stored using a form of Server Side Encryption.",
            "a key of the customer's own",
        ),
        ("AccessDenied", "Access Denied", "is denied, or it does not exist"),
    ],
)
def test_a_refusal_is_explained(code, message, words):
    error = AwsError(message)
    error.__cause__ = ClientError({"Error": {"Code": code, "Message": message}}, "GetObject")
    found = explain_refusal(error, "bucket", "net.bin", pays=False)
    assert words in found.message
    assert found.hint
    assert ("--requester-pays" in found.hint) == (code == "AccessDenied")


def test_one_version_is_brought_whatever_is_put_meanwhile(put, fetch, aws, bucket, s3_url, tmp_path):
    aws.client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = put("net.bin", b"first" * MB)["VersionId"]
    put("net.bin", b"second")
    third = before_range(s3_url, 3, lambda: put("net.bin", b"third"))
    brought = fetch("net.bin", aws=third, version=first, part=MB)
    assert there(tmp_path) == {"net.bin": b"first" * MB}
    assert brought.origin["version_id"] == first


@pytest.mark.parametrize("version", [str(uuid.UUID(int=7)), "zzz"])
def test_version_that_is_not_there(put, fetch, aws, bucket, version):
    aws.client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put("net.bin", b"first")
    with pytest.raises(NotFoundError, match=f"There is no version {version} of s3://{bucket}/net.bin"):
        fetch("net.bin", version=version)


def replaced(put, aws, bucket):
    return lambda: put("net.bin", os.urandom(2 * MB))


def deleted(put, aws, bucket):
    return lambda: aws.client("s3").delete_object(Bucket=bucket, Key="net.bin")


@pytest.mark.parametrize("change", [replaced, deleted])
@pytest.mark.parametrize("n", [1, 4, 8])
def test_object_that_changes_during_the_copy(put, fetch, aws, bucket, s3_url, change, n):
    put("net.bin", os.urandom(2 * MB))
    changing = before_range(s3_url, n, change(put, aws, bucket))
    with pytest.raises(FetchError, match="changed while it was copied: it was replaced or deleted"):
        fetch("net.bin", aws=changing, part=MB // 4, threads=1)


@pytest.mark.parametrize("change", [replaced, deleted])
def test_object_that_changes_before_it_is_checked(put, fetch, aws, bucket, s3_url, change):
    put("net.bin", os.urandom(2 * MB))
    changing = before_last_look(s3_url, change(put, aws, bucket))
    with pytest.raises(FetchError, match="changed while it was copied: it was replaced or deleted"):
        fetch("net.bin", aws=changing, part=MB // 4)


def test_after_a_change_the_next_try_brings_the_new_object(put, fetch, s3_url, tmp_path):
    put("net.bin", b"a" * 2 * MB)
    new = b"b" * 2 * MB
    with pytest.raises(FetchError, match="changed while it was copied"):
        fetch("net.bin", aws=before_range(s3_url, 4, lambda: put("net.bin", new)), part=MB // 4, threads=1)
    fetch("net.bin", part=MB // 4)
    assert there(tmp_path) == {"net.bin": new}


def test_object_that_is_added_during_the_copy(put, fetch, s3_url):
    put("net/a", os.urandom(4 * MB))
    adding = before_range(s3_url, 2, lambda: put("net/b", b"late"))
    with pytest.raises(FetchError, match="objects were added, removed or replaced"):
        fetch("net/", aws=adding, part=MB, threads=1)


@pytest.mark.parametrize("key", ["net/../escape", "net//twice"])
def test_names_that_no_file_can_have(put, fetch, key):
    put(key, b"x")
    with pytest.raises(FetchError, match="a name that no file can have"):
        fetch("net/")


@pytest.mark.parametrize(
    ("options", "checked_by"),
    [
        ({"ChecksumAlgorithm": "SHA256"}, "SHA256"),
        ({"ChecksumAlgorithm": "SHA1"}, "SHA1"),
        ({"ChecksumAlgorithm": "CRC32"}, "CRC32"),
    ],
)
def test_what_arrives_is_held_against_the_objects_checksum(put, fetch, options, checked_by, tmp_path):
    put("net.bin", os.urandom(3 * MB + 1), **options)
    assert fetch("net.bin", part=MB).origin["checked_by"] == checked_by


def test_etag_of_an_upload_in_parts_is_checked(fetch, aws, bucket, tmp_path):
    client = aws.client("s3")
    upload = client.create_multipart_upload(Bucket=bucket, Key="net.bin")["UploadId"]
    pieces = [os.urandom(5 * MB), os.urandom(5 * MB), os.urandom(MB // 3)]
    parts = [
        {
            "PartNumber": number,
            "ETag": client.upload_part(Bucket=bucket, Key="net.bin", UploadId=upload, PartNumber=number, Body=piece)[
                "ETag"
            ],
        }
        for number, piece in enumerate(pieces, 1)
    ]
    client.complete_multipart_upload(Bucket=bucket, Key="net.bin", UploadId=upload, MultipartUpload={"Parts": parts})
    brought = fetch("net.bin", part=MB)
    assert brought.origin["etag"].endswith("-3")
    assert there(tmp_path) == {"net.bin": b"".join(pieces)}
    assert brought.origin["checked_by"] in {"MD5", "CRC32"}


def test_what_arrives_damaged_is_reported_and_copied_again(put, fetch, tmp_path):
    content = os.urandom(3 * MB)
    put("net.bin", content)

    def damage(done, total):
        if done == total:
            with (tmp_path / "into" / "net.bin").open("r+b") as file:
                file.write(b"damaged")

    with pytest.raises(FetchError, match="arrived damaged"):
        fetch("net.bin", damage, part=MB)
    fetch("net.bin", part=MB)
    assert there(tmp_path) == {"net.bin": content}


def test_try_that_was_broken_off_is_gone_on_with(put, fetch, tmp_path, s3_url):
    content = os.urandom(12 * MB)
    put("net.bin", content)

    class StopError(Exception):
        pass

    def stop() -> None:
        raise StopError

    with pytest.raises(StopError):
        fetch("net.bin", aws=before_range(s3_url, 7, stop), part=MB // 2, threads=1)
    assert len((tmp_path / "done").read_text().splitlines()) == 6
    request, result = [], []
    fetch(
        "net.bin",
        lambda *figures: result.append(figures),
        aws=session(s3_url, event="before-send.s3.GetObject", on_event=lambda **_: request.append(1)),
        part=MB // 2,
        threads=1,
    )
    assert result[0] == (3 * MB, 12 * MB)
    assert len(request) == 18
    assert there(tmp_path) == {"net.bin": content}


def test_all_was_here_when_it_was_broken_off(put, fetch, tmp_path):
    content = os.urandom(2 * MB)
    put("net.bin", content)
    fetch("net.bin", part=MB)
    result: list[tuple[int, int]] = []
    fetch("net.bin", lambda *figures: result.append(figures), part=MB)
    assert result == [(2 * MB, 2 * MB)]
    assert there(tmp_path) == {"net.bin": content}


def test_another_object_begins_again(put, fetch, tmp_path):
    put("net.bin", b"a" * MB)
    fetch("net.bin")
    put("net.bin", b"b" * (MB // 2))
    fetch("net.bin")
    assert there(tmp_path) == {"net.bin": b"b" * (MB // 2)}


CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.models.s3 import before_range
from efsprov.aws.errors import code_of
from efsprov.aws.object_refusals import explain_refusal
from efsprov.aws.objects import S3Source
aws = before_range({url!r}, {killed_at}, lambda: os.kill(os.getpid(), signal.SIGKILL))
source = S3Source(aws, {bucket!r}, "net.bin", part={part}, threads={threads})
source.fetch(Path({into!r}), notes=Path({notes!r}), share=False, progress=lambda done, total: None)
"""


@pytest.fixture
def child(tmp_path, s3_url, bucket):
    """The program of a process that fetches net.bin; it kills itself before the range ``killed_at``."""
    (tmp_path / "into").mkdir()
    given = {"root": str(Path(__file__).parents[2]), "url": s3_url, "bucket": bucket}
    given |= {"into": str(tmp_path / "into"), "notes": str(tmp_path)}
    return lambda **more: CHILD.format(**given, **more)


def test_killed_in_the_middle_it_goes_on(put, fetch, child, tmp_path):
    content = os.urandom(16 * MB)
    put("net.bin", content)
    killed = subprocess.run([sys.executable, "-c", child(killed_at=20, part=MB // 2, threads=2)], check=False)
    assert killed.returncode == -signal.SIGKILL
    noted = len((tmp_path / "done").read_text().splitlines())
    assert noted in {18, 19}  # of two at a time, one may have been on its way
    result: list[tuple[int, int]] = []
    fetch("net.bin", lambda *figures: result.append(figures), part=MB // 2, threads=2)
    assert result[0] == (noted * MB // 2, 16 * MB)
    assert there(tmp_path) == {"net.bin": content}


def test_broken_connections_are_made_up_for(put, fetch, s3_url, tmp_path):
    content = os.urandom(6 * MB)
    put("net.bin", content)
    relay = Cutting(s3_url, cuts=5, after=MB // 2)
    fetch("net.bin", part=MB, threads=2, aws=session(relay.url))
    relay.close()
    assert relay.cuts_left == 0
    assert there(tmp_path) == {"net.bin": content}


def test_s3_that_is_not_reached_is_reported(fetch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(AwsError, match="cannot be reached"):
        fetch("net.bin", aws=session(f"http://127.0.0.1:{port}"))


@pytest.mark.parametrize(
    ("uri", "bucket", "key", "version"),
    [
        ("s3://bucket/key", "bucket", "key", None),
        ("s3://my.bucket-1/a/b c/d", "my.bucket-1", "a/b c/d", None),
        ("s3://bucket/", "bucket", "", None),
        ("s3://bucket/a%2Bb?versionId=abc", "bucket", "a+b", "abc"),
    ],
)
def test_uri_is_read(aws, uri, bucket, key, version):
    found = S3Source.parse(uri, aws)
    assert (found.bucket, found.key, found.version) == (bucket, key, version)


@pytest.mark.parametrize("uri", ["s3://", "s3:///key", "http://bucket/key", "s3://bücket/key"])
def test_uri_that_is_none(aws, uri):
    with pytest.raises(UsageError):
        S3Source.parse(uri, aws)


def test_a_model_comes_from_s3_to_the_root(put, aws, bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("EFSPROV_CACHE", str(tmp_path / "cache"))
    for file in (SAMPLES / "dense_savedmodel").rglob("*"):
        if file.is_file():
            put(f"models/dense/{file.relative_to(SAMPLES / 'dense_savedmodel')}", file.read_bytes())
    channel = Root.open(tmp_path / "root", writing=True).channel("dense", kind="model")
    done = provision(channel, S3Source(aws, bucket, "models/dense/"), Provision(), ProgressReporter(SILENT))
    assert done.manifest.model.format == "savedmodel"
    assert done.manifest.model.origin["uri"] == f"s3://{bucket}/models/dense/"
    files = {f.relative_to(done.path / "files") for f in (done.path / "files").rglob("*") if f.is_file()}
    assert files == {f.relative_to(SAMPLES / "dense_savedmodel") for f in (SAMPLES / "dense_savedmodel").rglob("*.*")}


def test_pin_of_an_object(put, aws, bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("EFSPROV_CACHE", str(tmp_path / "cache"))
    content = (SAMPLES / "matmul.onnx").read_bytes()
    put("m.onnx", content)
    channel = Root.open(tmp_path / "root", writing=True).channel("m", kind="model")
    source = S3Source(aws, bucket, "m.onnx")
    with pytest.raises(FetchError, match="is not what --sha256 pins"):
        provision(channel, source, Provision(sha256="0" * 64), ProgressReporter(SILENT))
    provision(channel, source, Provision(sha256=hashlib.sha256(content).hexdigest()), ProgressReporter(SILENT))


def test_memory_does_not_grow_with_the_object(put, child, tmp_path):
    put("net.bin", os.urandom(160 * MB))
    peak = "next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))"
    code = child(killed_at=-1, part=16 * MB, threads=8).replace("source.fetch", f"before = {peak}\nsource.fetch")
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint({peak} - before)"], check=True, capture_output=True, text=True
    )
    assert int(run.stdout) < 64 * 1024  # kB; the eight parts under way are 128 MB


@pytest.mark.parametrize("version", [None, "7"])
def test_a_refusal_that_says_no_more_keeps_its_cause(aws, bucket, put, tmp_path, version):
    """`raise error from error` would make it its own cause, and AWS's code could not be read from it."""
    put("net.bin", b"x")
    error = AwsError("made up")
    error.__cause__ = ClientError({"Error": {"Code": "KMS.DisabledException", "Message": "no"}}, "HeadObject")
    assert explain_refusal(error, bucket, "net.bin", pays=False) is None

    class Refusing:
        def client(self, service, **config):
            return aws.client(service, **config)

        def call(self, request):
            raise error

    with pytest.raises(AwsError, match="made up") as caught:
        S3Source(Refusing(), bucket, "net.bin", version).fetch(tmp_path, notes=tmp_path, share=False, progress=print)
    assert code_of(caught.value) == "KMS.DisabledException"
