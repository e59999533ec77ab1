"""What is pinned, and what is said where nothing can be."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

A, B = "20261121T063000Z-3f2a9c1b", "20261122T063000Z-0000beef"
PINNED = "import efsprov.bootstrap as b; out({n: [r.id, r.target, r.path, r.site] for n, r in b.releases.items()})"
MARKER = "import efsprov.bootstrap, marker; out(marker.ID)"


def load_pin():
    """The module by itself: importing its package would pin a release for this process."""
    path = Path(__file__).parents[2] / "efsprov/bootstrap/_pin.py"
    spec = importlib.util.spec_from_file_location("pin_alone", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pin = load_pin()


def test_current_release_is_pinned(root, run, python):
    path = root.release("tensorflow", A, python=python)
    outcome = run(PINNED, CHANNEL="tensorflow", python=python)
    assert outcome.value == {"tensorflow": [A, path.parents[1].name, str(path), f"{path}/site"]}, outcome.stderr
    assert run(MARKER, CHANNEL="tensorflow", python=python).value == A


def test_a_relative_root_and_links_above_it_become_the_real_path(root, run, tmp_path):
    path = root.release("tensorflow", A)
    (tmp_path / "link").symlink_to(root.path)
    assert run(PINNED, CHANNEL="tensorflow", root="link").value["tensorflow"][2] == str(path)


def test_release_is_kept_when_current_moves(root, run):
    root.release("tensorflow", A)
    later = root.release("tensorflow", B, current=False).parents[1]
    code = f"""
import importlib, os, efsprov.bootstrap as b
os.unlink({str(later / "current")!r}); os.symlink("releases/{B}", {str(later / "current")!r})
import marker
importlib.reload(b)
out([marker.ID, b.releases["tensorflow"].id])
"""
    assert run(code, CHANNEL="tensorflow").value == [A, A]
    assert run(MARKER, CHANNEL="tensorflow").value == B


@pytest.mark.parametrize("pinned", [A, f"tensorflow={A}", f" tensorflow = {A} ,"])
def test_release_can_be_pinned_by_hand(root, run, pinned):
    root.release("tensorflow", A)
    root.release("tensorflow", B)
    assert run(MARKER, CHANNEL="tensorflow", RELEASE=pinned).value == A


def test_each_of_several_channels_can_be_pinned(root, run):
    for channel in "first", "second":
        root.release(channel, A)
        root.release(channel, B)
    value = run(PINNED, CHANNEL="first,second", RELEASE=f"second={A}").value
    assert [pinned[0] for pinned in value.values()] == [B, A]


def test_a_release_for_this_c_library_comes_first_except_under_a_lambda_runtime(root, run, python):
    plain, host = root.targets(python)
    root.release("torch", A, target=plain)
    root.release("torch", B, target=host)
    assert run(MARKER, CHANNEL="torch", python=python).value == B
    managed = f"AWS_Lambda_{plain.partition('-')[0]}"
    assert run(MARKER, CHANNEL="torch", python=python, AWS_EXECUTION_ENV=managed).value == A
    assert run(MARKER, CHANNEL="torch", python=python, TARGET=plain).value == A


def test_models_are_pinned_at_first_use(root, run):
    base = root.model("resnet50", A)
    (base / "releases" / B / "files").mkdir(parents=True)
    code = f"""
import os, efsprov.bootstrap as b
first = b.model("resnet50")
os.unlink({str(base / "current")!r}); os.symlink("releases/{B}", {str(base / "current")!r})
out([first, b.model("resnet50"), open(first + "/weights").read(), dict(b.releases)])
"""
    path = str(base / "releases" / A / "files")
    assert run(code, CHANNEL="").value == [path, path, A, {}]
    pinned = "import efsprov.bootstrap as b; out(b.model('resnet50'))"
    assert run(pinned, CHANNEL="", RELEASE=f"models/resnet50={B}").value == str(base / "releases" / B / "files")


def _nothing(base):
    (base / "current").unlink()


def _outside(base):
    _nothing(base)
    (base / "current").symlink_to(f"../../../../elsewhere/releases/{A}")


def _dangling(base):
    _nothing(base)
    (base / "current").symlink_to(f"releases/{B}")


def _file(base):
    _nothing(base)
    (base / "current").write_text(f"releases/{A}")


def _linked_release(base):
    (base / "releases" / A).rename(base / "elsewhere")
    (base / "releases" / A).symlink_to("../elsewhere")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_nothing, "no release has been activated"),
        (_outside, "it is not followed"),
        (_dangling, f"{B} is not a directory; releases in"),
        (_file, "is not a readable link"),
        (_linked_release, f"{A} is not a directory"),
    ],
)
def test_a_damaged_channel_gives_one_clear_error(root, run, damage, message):
    damage(root.release("tensorflow", A).parents[1])
    outcome = run("import efsprov.bootstrap", CHANNEL="tensorflow")
    assert outcome.code == 1
    assert outcome.error.startswith("efsprov.bootstrap.BootstrapError: ")
    assert message in outcome.error
    handled = (
        "try: import efsprov.bootstrap\nexcept ImportError as e: out([type(e).__name__, type(e.__cause__).__name__])"
    )
    assert run(handled, CHANNEL="tensorflow").value == ["BootstrapError", "NoneType"]


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"root": None}, "EFSPROV_ROOT is not set"),
        ({"root": "/nowhere/at/all"}, "/nowhere/at/all/deps does not exist"),
        ({"root": __file__}, "Not a directory"),
        ({"CHANNEL": "torch"}, "no channel 'torch'; channels in {deps}: other, tensorflow"),
        ({"CHANNEL": None}, "EFSPROV_CHANNEL is not set; channels in {deps}: other, tensorflow"),
        ({"CHANNEL": "other"}, "other has nothing for"),
        ({"CHANNEL": "../tensorflow"}, "is not a name"),
        ({"CHANNEL": "tensorflow,,other"}, "is not a name"),
        ({"TARGET": "python2.7-x86_64"}, "but this interpreter is python3."),
        ({"TARGET": ".."}, "is not a name"),
        ({"TARGET": "python{version}-sparc"}, "has nothing for python{version}-sparc; targets in"),
        ({"RELEASE": "latest"}, "is not a release id"),
        ({"RELEASE": B}, f"{B} is not a directory; releases in"),
        ({"RELEASE": f"torch={A}"}, "it may name only tensorflow"),
        ({"CHANNEL": "tensorflow,other", "RELEASE": A}, "it may name CHANNEL=ID for each channel"),
    ],
)
def test_bad_settings_give_one_clear_error(root, run, environ, message):
    version = "{}.{}".format(*sys.version_info)
    root.release("tensorflow", A)
    root.release("other", A, target="python2.7-x86_64")
    environ = {"CHANNEL": "tensorflow"} | environ
    environ = {name: value and value.format(version=version) for name, value in environ.items()}
    if environ["CHANNEL"] is None:
        del environ["CHANNEL"]
    outcome = run("import efsprov.bootstrap", **environ)
    assert outcome.code == 1
    assert outcome.error.startswith("efsprov.bootstrap.BootstrapError: ")
    assert message.format(deps=root.path / "deps", version=version).replace("other has", "'other' has") in outcome.error


@pytest.mark.parametrize("name", ["", "..", "a/b", "missing"])
def test_an_unknown_model_gives_one_clear_error(root, run, name):
    root.model("resnet50", A)
    outcome = run(f"import efsprov.bootstrap as b; b.model({name!r})", CHANNEL="")
    assert "BootstrapError" in outcome.error
    assert ("models in" if name == "missing" else "is not a name") in outcome.error


def test_a_release_published_after_it_was_missed_is_found(root, tmp_path):
    release = root.release("tensorflow", A)
    opened = os.open(release.parents[1], os.O_RDONLY)
    try:
        assert not pin._is_directory(f"releases/{B}", opened)
        (release.parent / B).mkdir()
        assert pin._is_directory(f"releases/{B}", opened)
        assert not pin._is_directory(f"nothing/{B}", opened)
    finally:
        os.close(opened)


@given(st.text(max_size=30))
def test_arbitrary_text_is_no_release_id(text):
    assert not pin.is_release_id(text)


@given(st.integers(0, 24), st.characters(exclude_characters="0123456789abcdefTZ-"))
def test_a_release_id_with_one_wrong_character_is_none(at, character):
    assert pin.is_release_id(A)
    assert not pin.is_release_id(A[:at] + character + A[at + 1 :])
