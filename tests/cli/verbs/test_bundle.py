"""`efsprov bundle` as it is typed: to a folder and to S3, and in the hands of other tools."""

import contextlib
import hashlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest

from devtools.strict_aws import proof
from devtools.strict_aws.double import StrictAws
from tests.cli.json_page import differences, documented
from tests.framework_root import plain_target
from tests.printed_policies import printed_policies
from tests.wheelhouse import build_wheel

BUCKET = "releases-of-ours"


@pytest.fixture
def pushed(efsprov):
    """A root whose current release was pushed to `oci:bundles`."""
    efsprov.sync("tiny==1.0")
    answer = efsprov("bundle", "push", "tiny", "oci:bundles", "--root", efsprov.root, "--json")
    assert answer.code == 0, answer.err
    return answer.json


def test_a_release_is_carried_to_another_root(efsprov, pushed):
    (efsprov.folder / "other").mkdir()
    answer = efsprov("bundle", "pull", "oci:bundles", "--root", "other")
    assert answer.code == 0, answer.err
    assert f"tiny ({plain_target()}): release " in answer.out
    assert efsprov("verify", "--root", "other").code == 0
    again = efsprov("bundle", "pull", "oci:bundles", pushed["release"], "--root", "other")
    assert "holds the same" in again.out
    listed = efsprov("bundle", "list", "oci:bundles")
    assert pushed["name"] in listed.out
    shown = efsprov("bundle", "show", "oci:bundles")
    assert "tiny==1.0" in shown.out
    verified = efsprov("bundle", "verify", "oci:bundles")
    assert "all as the digests and the file list say" in verified.out


def test_it_may_be_placed_under_another_name_and_not_made_current(efsprov, pushed):
    answer = efsprov(
        *("bundle", "pull", "oci:bundles", "--root", efsprov.root, "--channel", "blue", "--no-activate", "--json")
    )
    assert (answer.json["outcome"], answer.json["activated"]) == ("published", False)
    assert "/deps/blue/" in answer.json["path"]
    assert answer.json["figures"]["linked_files"] > 0, "the other channel's release has them"


def test_the_commands_print_the_keys_that_the_page_names(efsprov, pushed):
    assert differences(pushed, documented("bundle push")) == (set(), set())
    for verb in ("list", "show", "verify"):
        answer = efsprov("bundle", verb, "oci:bundles", "--json")
        assert differences(answer.json, documented(f"bundle {verb}")) == (set(), set()), verb
    (efsprov.folder / "other").mkdir()
    answer = efsprov("bundle", "pull", "oci:bundles", "--root", "other", "--json")
    assert differences(answer.json, documented("bundle pull")) == (set(), set())


def test_a_model_travels_the_same_road(efsprov):
    header = b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    (efsprov.folder / "net.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert (
        efsprov("model", "push", "net", "net.safetensors", "--meta", "accuracy=0.9", "--root", efsprov.root).code == 0
    )
    assert efsprov("bundle", "push", "models/net", "oci:bundles", "--root", efsprov.root).code == 0
    (efsprov.folder / "other").mkdir()
    answer = efsprov("bundle", "pull", "oci:bundles", "--root", "other")
    assert answer.code == 0, answer.err
    one, two = (
        efsprov("model", "show", "net", "--root", root, "--json").json["manifest"] for root in (efsprov.root, "other")
    )
    assert one["model"] == two["model"]
    assert (one["meta"], one["files_sha256"]) == (two["meta"], two["files_sha256"])
    assert efsprov("model", "verify", "net", "--root", "other").code == 0


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("push", "tiny", "--root", "efs"), 2, "Missing argument"),
        (("push", "tiny", "a", "b", "oci:x", "--root", "efs"), 2, "3 words follow tiny"),
        (("push", "tiny", "nowhere", "--root", "efs"), 2, "'nowhere' is not a place of bundles"),
        (("push", "tiny", "oci:", "--root", "efs"), 2, "'oci:' is not a place of bundles"),
        (("push", "tiny", "s3:bucket/x", "--root", "efs"), 2, "is not a prefix of S3"),
        (("push", "tiny", "docker://registry/x", "--root", "efs"), 2, "skopeo copy --preserve-digests"),
        (("push", "huge", "oci:x", "--root", "efs"), 10, "There is no channel huge"),
        (("push", "tiny", "2019", "oci:x", "--root", "efs"), 10, "There is no release '2019'"),
        (("pull", "oci:nowhere", "--root", "efs"), 10, "There are no bundles at oci:nowhere"),
        (("pull", "oci:bundles", "torch", "--root", "efs"), 10, "holds no bundle 'torch'"),
        (("show", "oci:efs"), 10, "There are no bundles at oci:efs"),
        (("verify", "oci:efs/efsprov.json"), 10, "There are no bundles at oci:efs/efsprov.json"),
    ],
)
def test_what_is_typed_wrongly_is_refused_in_words_and_changes_nothing(efsprov, pushed, words, code, sentence):
    before = sorted(str(path) for path in efsprov.folder.rglob("*"))
    answer = efsprov("bundle", *words)
    assert sentence in " ".join(answer.err.split())
    assert "Traceback" not in answer.err
    assert answer.code == code
    assert sorted(str(path) for path in efsprov.folder.rglob("*")) == before


def test_a_damaged_bundle_is_named_by_verify_and_refused_by_pull(efsprov, pushed):
    layers = efsprov("bundle", "show", "oci:bundles", "--json").json["layers"]
    path = efsprov.folder / "bundles/blobs/sha256" / layers[-1]["digest"][7:]
    path.write_bytes(path.read_bytes().replace(b"__version__ = '", b"__varsion__ = '"))
    answer = efsprov("bundle", "verify", "oci:bundles", "--json")
    assert {finding["path"] for finding in answer.json["findings"]} == {layers[-1]["digest"], "site/tiny/__init__.py"}
    assert answer.code != 0
    (efsprov.folder / "other").mkdir()
    pulled = efsprov("bundle", "pull", "oci:bundles", "--root", "other")
    assert "is not what the release's file list says" in " ".join(pulled.err.split())
    assert not list((efsprov.folder / "other").rglob("current"))


# S3, with the policy that is printed for it


def test_the_printed_policy_is_what_push_and_pull_take(efsprov):
    efsprov.sync("tiny==1.0")
    (efsprov.folder / "other").mkdir()
    document = printed_policies("bundles", "--bucket", BUCKET, "--prefix", "prod/", region="eu-central-1")[
        "orchestrator"
    ]
    with StrictAws() as aws:
        aws.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        ann = aws.identities.add("ann", [document])
        environment = {**aws.environment, **ann.environment}
        for words in (
            ("push", "tiny", f"s3://{BUCKET}/prod/tiny", "--root", efsprov.root),
            ("list", f"s3://{BUCKET}/prod/tiny"),
            ("verify", f"s3://{BUCKET}/prod/tiny"),
            ("pull", f"s3://{BUCKET}/prod/tiny", "--root", "other"),
        ):
            answer = efsprov("bundle", *words, **environment)
            assert answer.code == 0, answer.err
        denied = efsprov("bundle", "list", f"s3://{BUCKET}/elsewhere", **environment)
        assert "is denied" in " ".join(denied.err.split())
        checks = [request.check for request in aws.identities.requests if request.principal == ann.arn]
    allowed = [check for check in checks if "elsewhere" not in check.resource]
    assert proof.refused([document], allowed) == []
    unused = proof.superfluous(document, allowed)
    assert [action for action in unused if "AbortMultipartUpload" not in str(action)] == [], "nothing failed on the way"
    assert efsprov("verify", "--root", "other").code == 0


# Other tools


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.mark.lab
def test_skopeo_and_umoci_take_a_bundle_as_an_image(efsprov, pushed):
    image = f"oci:{efsprov.folder}/bundles:{pushed['name']}"
    found = json.loads(run("skopeo", "inspect", image))
    assert found["Digest"] == pushed["digest"]
    assert json.loads(found["Labels"]["io.efsprov.release"])["channel"] == "tiny"
    copy = f"oci:{efsprov.folder}/copied:{pushed['name']}"
    run("skopeo", "--insecure-policy", "copy", "--preserve-digests", image, copy)
    answer = efsprov("bundle", "verify", "oci:copied", pushed["digest"])
    assert answer.code == 0, answer.err
    run("umoci", "unpack", "--rootless", "--image", image.removeprefix("oci:"), str(efsprov.folder / "unpacked"))
    release = next((efsprov.root / "deps/tiny").glob("*/releases/*"))
    unpacked = efsprov.folder / "unpacked/rootfs/release"
    for path in release.rglob("*"):
        if path.is_file() and path.name != "release.json":
            other = unpacked / path.relative_to(release)
            assert hashlib.sha256(other.read_bytes()).digest() == hashlib.sha256(path.read_bytes()).digest()


@pytest.fixture
def registry(tmp_path):
    """A registry of containers on loopback: its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": True}, "level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": address},
    }
    (tmp_path / "registry.json").write_text(json.dumps(settings))  # YAML that is JSON, too
    command = ["docker-registry", "serve", str(tmp_path / "registry.json")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        due = time.monotonic() + 30
        while time.monotonic() < due:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{address}/v2/"):
                break
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.mark.lab
def test_a_bundle_goes_through_a_registry_and_comes_back_the_same(efsprov, pushed, registry):
    image, there = f"oci:{efsprov.folder}/bundles:{pushed['name']}", f"docker://{registry}/releases/tiny:1.0"
    skopeo = ("skopeo", "--insecure-policy", "copy", "--preserve-digests")
    run(*skopeo, "--dest-tls-verify=false", image, there)
    run(*skopeo, "--src-tls-verify=false", there, f"oci:{efsprov.folder}/back:tiny")
    assert json.loads(run("skopeo", "inspect", "--tls-verify=false", there))["Digest"] == pushed["digest"]
    assert efsprov("bundle", "verify", "oci:back").code == 0
    (efsprov.folder / "other").mkdir()
    answer = efsprov("bundle", "pull", "oci:back", "tiny", "--root", "other", "--json")
    assert (answer.code, answer.json["digest"]) == (0, pushed["digest"])


@pytest.mark.lab
def test_a_copy_that_compresses_is_refused_with_what_to_do(efsprov, pushed):
    image = f"oci:{efsprov.folder}/bundles:{pushed['name']}"
    squeezed = f"oci:{efsprov.folder}/squeezed:{pushed['name']}"
    run("skopeo", "--insecure-policy", "copy", "--dest-compress", "--dest-compress-format", "gzip", image, squeezed)
    answer = efsprov("bundle", "show", "oci:squeezed")
    assert "--preserve-digests" in " ".join(answer.err.split())
    assert shutil.which("skopeo")


# No action of the policy is needless


def without(document, action):
    statements = [{**s, "Action": [a for a in s["Action"] if a != action]} for s in document["Statement"]]
    return {**document, "Statement": [s for s in statements if s["Action"]]}


@pytest.mark.parametrize("action", ["", "s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"])
def test_with_all_actions_a_run_ends_well_and_without_any_one_it_does_not(efsprov, action):
    noise = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range((9 << 20) // 32))
    build_wheel(efsprov.wheels, "hissing", "1.0", {"hissing/__init__.py": "", "hissing/data.bin": noise})
    assert efsprov.sync("hissing==1.0").code == 0
    document = printed_policies("bundles", "--bucket", BUCKET, region="eu-central-1")["orchestrator"]
    push = ("bundle", "push", "hissing", f"s3://{BUCKET}/prod", "--root", efsprov.root)
    with StrictAws() as aws:
        s3 = aws.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        ann = aws.identities.add("ann", [without(document, action)])
        environment = {**aws.environment, **ann.environment}
        # An upload fails, and the same command then goes on: with all actions that is a push without a trace.
        aws.fail("s3:UploadPart", "AccessDenied", "made up", status=403)
        codes = [efsprov(*push, **environment).code for _ in range(2)]
        left = s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    assert codes[0] != 0
    assert (codes[1] != 0 or left != []) == bool(action), (action, codes, left)
