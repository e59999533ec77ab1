"""Bad input gets one clear message and a code of its own, and the root stays byte for byte as it was."""

import json
import os
import subprocess

import pytest

from tests.cli.conftest import RUNTIME, CommandLine, snapshot


@pytest.fixture(scope="module")
def two_releases(tmp_path_factory, wheels, cache):
    """A root with two releases of tiny, 2.0 current."""
    maker = CommandLine(tmp_path_factory.mktemp("two-releases"), wheels, cache)
    for version in ("1.0", "2.0"):
        assert maker.sync(f"tiny=={version}").code == 0
    return maker.root


@pytest.fixture
def filled(efsprov, two_releases):
    """A copy of it for one test."""
    subprocess.run(["cp", "-a", two_releases, efsprov.root], check=True)
    return efsprov


@pytest.fixture
def channel(filled):
    return filled.root / "deps" / "tiny" / f"{RUNTIME}-x86_64"


def refused(efsprov, code, *arguments, says, **environment):
    before = snapshot(efsprov.folder / "efs") if efsprov.root.is_dir() else None
    answer = efsprov(*arguments, **environment)
    message = answer.err[answer.err.index("efsprov: ") :]
    assert answer.code == code, answer.err
    for words in [says] if isinstance(says, str) else says:
        assert words in message
    assert "Traceback" not in answer.err
    assert len(message.strip().splitlines()) >= 2, f"no hint: {message}"
    assert (snapshot(efsprov.folder / "efs") if efsprov.root.is_dir() else None) == before
    as_json = efsprov(*arguments, "--json", **environment)
    assert as_json.code == code
    assert set(json.loads(as_json.out)["error"]) == {"code", "message", "hint"}
    return answer


def sync(efsprov, *arguments):
    return ("sync", "--root", efsprov.root, "--runtime", RUNTIME, *arguments)


def test_unknown_package(filled):
    refused(filled, 3, *sync(filled, "--framework", "no-such-package"), says="no-such-package")


def test_no_such_version(filled):
    refused(filled, 3, *sync(filled, "--framework", "tiny==9.9"), says=["tiny==9.9", "3.0"])


def test_conflicting_requirements(filled):
    (filled.folder / "more.txt").write_text("quarrel\n")
    refused(filled, 3, *sync(filled, "--framework", "tiny==2.0", "-r", "more.txt"), says=["tiny", "quarrel"])


def test_requirement_file_with_a_syntax_error(filled):
    (filled.folder / "bad.txt").write_text("tiny\n==1.0 what\n")
    refused(filled, 2, *sync(filled, "-r", "bad.txt", "--channel", "x"), says=["bad.txt", "line 2"])


def test_requirement_file_that_is_not_there(filled):
    refused(filled, 2, *sync(filled, "-r", "none.txt", "--channel", "x"), says="none.txt")


@pytest.mark.parametrize("name", ["../x", "", "x" * 300, "/etc", "a b", ".hidden", "-x", "UPPER", "x\ny"])
def test_channel_names(filled, name):
    refused(filled, 2, *sync(filled, "--framework", "tiny"), f"--channel={name}", says="cannot name a channel")


@pytest.mark.parametrize("framework", ["", "tiny==", "tiny ==1.0 extra words", "-r x", "../tiny"])
def test_requirements(filled, framework):
    refused(filled, 2, *sync(filled, f"--framework={framework}"), says="requirement")


def test_nothing_to_install(filled):
    refused(filled, 2, *sync(filled), says="Nothing to install")


def test_a_runtime_that_does_not_exist(filled):
    arguments = ("sync", "--root", filled.root, "--framework", "tiny", "--runtime", "python2.7")
    refused(filled, 2, *arguments, says=["python2.7", "python3.13"])


def test_an_architecture_that_does_not_exist(filled):
    refused(filled, 2, *sync(filled, "--framework", "tiny", "--arch", "sparc"), says=["sparc", "arm64"])


def test_wheels_of_another_interpreter_name_the_runtimes_that_would_do(filled):
    refused(filled, 4, *sync(filled, "--framework", "old-only"), says=["CPython 3.9", "python3.9 would do"])


def test_wheels_of_a_newer_glibc_say_from_which_runtime_on_they_work(filled):
    arguments = ("sync", "--root", filled.root, "--framework", "new-glibc", "--runtime", "python3.11")
    refused(filled, 4, *arguments, says=["glibc 2.28", "2.26", "From python3.12 on"])


def test_root_is_slash(efsprov):
    refused(efsprov, 8, "sync", "--root", "/", "--framework", "tiny", says="must not be '/'")


def test_root_is_a_file(efsprov):
    (efsprov.folder / "file").write_text("mine")
    refused(efsprov, 8, "sync", "--root", "file", "--framework", "tiny", says="not a directory")
    assert (efsprov.folder / "file").read_text() == "mine"


def test_root_is_below_a_file(efsprov):
    (efsprov.folder / "file").write_text("mine")
    refused(efsprov, 8, "sync", "--root", "file/efs", "--framework", "tiny", says="file")


def test_root_is_a_dangling_link(efsprov):
    (efsprov.folder / "link").symlink_to("nowhere")
    refused(efsprov, 8, "sync", "--root", "link", "--framework", "tiny", says="nowhere")
    assert not (efsprov.folder / "nowhere").exists()


def test_root_does_not_exist_and_neither_does_its_parent(efsprov):
    refused(efsprov, 8, "sync", "--root", "no/where", "--framework", "tiny", says="does not exist")


def test_no_root_is_named(efsprov):
    refused(efsprov, 2, "sync", "--framework", "tiny", says="--root")


@pytest.fixture
def mounted(efsprov):
    """Mounts over a folder of the test; needs root, as CI has it."""
    places = []

    def mount(*options, place):
        place.mkdir(exist_ok=True)
        done = subprocess.run(["mount", *options, str(place)], capture_output=True, text=True)
        if done.returncode:
            assert os.environ.get("CI") != "true", done.stderr
            pytest.skip(f"mount: {done.stderr.strip()}")
        places.append(place)

    yield mount
    for place in reversed(places):
        subprocess.run(["umount", str(place)], check=True)


def test_root_is_read_only(filled, mounted):
    mounted("--bind", str(filled.root), place=filled.root)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(filled.root)], check=True)
    refused(filled, 8, *sync(filled, "--framework", "tiny==3.0"), says="read-only")
    refused(filled, 8, "rollback", "--root", filled.root, says="read-only")
    assert filled("list", "--root", filled.root).code == 0


def test_root_is_full(efsprov, mounted):
    mounted("-t", "tmpfs", "-o", "size=32k", "tmpfs", place=efsprov.root)
    refused(efsprov, 8, *sync(efsprov, "--framework", "tiny"), says="full")


def test_root_is_of_a_newer_format(filled):
    (filled.root / "efsprov.json").write_text('{"format": 2}')
    for arguments in (
        sync(filled, "--framework", "tiny==3.0"),
        ("list", "--root", filled.root),
        ("rollback", "--root", filled.root),
    ):
        refused(filled, 8, *arguments, says=["format 2", "upgrade"])


def test_format_file_is_damaged(filled):
    (filled.root / "efsprov.json").write_text("{")
    refused(filled, 11, "list", "--root", filled.root, says="efsprov.json is damaged")


def test_rollback_with_nothing_before(efsprov):
    efsprov.sync("tiny==1.0")
    refused(efsprov, 10, "rollback", "--root", efsprov.root, says="no release before")


@pytest.mark.parametrize("release", ["20200101T000000Z-00000000", "nonsense", "../../x", ""])
def test_unknown_release(filled, release):
    for verb in (["activate"], ["show"], ["pin"], ["rollback", "--to"]):
        if release or verb != ["rollback", "--to"]:
            refused(filled, 10, *verb, release, "--root", filled.root, says="There is no release")


def test_unknown_channel(filled):
    for verb in ("list", "history", "show"):
        refused(
            filled, 10, verb, "--channel", "nope", "--root", filled.root, says=["no channel nope", "There is: tiny"]
        )


def test_a_second_init_says_how_to_overwrite_the_very_file(filled):
    (filled.folder / "project").mkdir()
    result = filled("init", "project")
    assert result.code == 0
    assert "efsprov --config project/efsprov.toml plan" in result.out
    refused(filled, 2, "init", "project", says="`efsprov init project --force`")
    assert filled("init", "project", "--force").code == 0
    assert not (filled.folder / "efsprov.toml").exists()


def test_a_damaged_release_is_not_rolled_back_to(filled, channel):
    first = min((channel / "releases").iterdir())
    (first / "site/tiny/data.txt").write_text("short")
    refused(filled, 11, "rollback", "--root", filled.root, says=[first.name, "site/tiny/data.txt"])


def test_a_release_marked_bad_is_skipped(filled, channel):
    first = min((channel / "releases").iterdir()).name
    assert filled("mark-bad", first, "--root", filled.root, "--note", "leaks").code == 0
    refused(filled, 10, "rollback", "--root", filled.root, says=[first, "marked bad"])
    refused(filled, 11, "activate", first, "--root", filled.root, says="leaks")


@pytest.mark.parametrize("text", [None, "releases/20200101T000000Z-00000000", "/etc", "../../..", "releases"])
def test_a_broken_current_is_found_and_repaired(filled, channel, text):
    truth = (channel / "current").readlink()
    (channel / "current").unlink()
    if text is not None:
        (channel / "current").symlink_to(text)
    answer = filled("verify", "--root", filled.root)
    assert answer.code == 11
    assert "current" in answer.out
    assert filled("verify", "--repair", "--root", filled.root).code == 0
    assert (channel / "current").readlink() == truth


@pytest.mark.parametrize("text", ["not json", "[]", "{}", '{"do": "activate"}'])
def test_a_journal_entry_that_is_not_json(filled, channel, text):
    entry = channel / "journal" / "00000002"
    entry.unlink()
    entry.symlink_to(text)
    for arguments in (
        ("list", "--root", filled.root),
        ("rollback", "--root", filled.root),
        sync(filled, "--framework", "tiny==3.0"),
    ):
        refused(filled, 11, *arguments, says="00000002")


def test_a_manifest_that_is_not_json(filled, channel):
    first = min((channel / "releases").iterdir())
    (first / "release.json").write_text("{")
    refused(filled, 11, "show", first.name, "--root", filled.root, says="release.json")
    assert "damaged" in filled("list", "--root", filled.root).out


def test_unknown_options_and_verbs(filled):
    refused(filled, 2, "list", "--root", filled.root, "--bogus", says="--bogus")
    refused(filled, 2, "lst", "--root", filled.root, says="lst")


def test_settings_that_are_not_toml_or_not_known(filled):
    (filled.folder / "efsprov.toml").write_text("root = ")
    refused(filled, 2, "list", says=["efsprov.toml", "TOML"])
    (filled.folder / "efsprov.toml").write_text("[prune]\nkeep = 3\n")
    refused(filled, 2, "list", "--root", filled.root, says="there is no setting prune.keep.")
    (filled.folder / "efsprov.toml").write_text("[prune]\nkeep_last = 'many'\n")
    refused(filled, 2, "list", "--root", filled.root, says=["prune.keep_last: ", "valid integer"])
