import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from efsprov.core.target import targets_for
from efsprov.pipeline.tools.interpreter import has_interpreter
from efsprov.store.layout import Root
from efsprov.store.publisher_lock import publisher_lock
from tests.cli.conftest import RUNTIME, snapshot
from tests.wheelhouse import build_wheel


def current(efsprov, channel="tiny"):
    answer = efsprov("list", "--root", efsprov.root, "--channel", channel, "--json")
    return answer.json["channels"][0]["current"]


def import_tiny(efsprov, code="import efsprov.bootstrap, tiny; print(tiny.__version__)"):
    environment = {
        **os.environ,
        "EFSPROV_ROOT": str(efsprov.root),
        "EFSPROV_CHANNEL": "tiny",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_install_upgrade_and_roll_back(efsprov):
    assert efsprov.sync("tiny==1.0").code == 0
    first = current(efsprov)
    assert import_tiny(efsprov) == "1.0"

    assert efsprov.sync("tiny==2.0").code == 0
    assert import_tiny(efsprov) == "2.0"

    answer = efsprov("rollback", "--root", efsprov.root)
    assert answer.code == 0, answer.err
    assert current(efsprov) == first
    assert import_tiny(efsprov) == "1.0"

    verified = efsprov("verify", "--root", efsprov.root)
    assert verified.code == 0, verified.out


def test_what_was_rolled_back_from_comes_back_only_when_asked(efsprov):
    first = efsprov.sync("tiny==1.0", "--json").json["result"]["release"]
    second = efsprov.sync("tiny==2.0", "--json").json["result"]["release"]
    efsprov("rollback", "--root", efsprov.root)
    before = snapshot(efsprov.root)
    answer = efsprov.sync("tiny==2.0")
    assert answer.code == 17
    assert second in answer.err
    assert "--again" in answer.err
    assert snapshot(efsprov.root) == before
    planned = efsprov("plan", "--root", efsprov.root, "--runtime", RUNTIME, "tiny==2.0")
    assert (planned.code, "sync will stop here" in planned.out) == (0, True)
    assert current(efsprov) == first
    assert efsprov.sync("tiny==2.0", "--no-activate").code == 0
    again = efsprov.sync("tiny==2.0", "--again", "--json").json["result"]
    assert (again["outcome"], again["release"]) == ("reactivated", second)
    assert efsprov.sync("tiny==2.0").code == 0  # nothing to do


def test_what_was_marked_bad_stays_bad_for_its_lock(efsprov):
    efsprov.sync("tiny==1.0")
    second = efsprov.sync("tiny==2.0", "--json").json["result"]["release"]
    left = efsprov("rollback", "--root", efsprov.root, "--bad", "it leaks")
    assert "activate" not in left.out
    before = snapshot(efsprov.root)
    for more in ((), ("--again",), ("--no-activate",)):
        answer = efsprov.sync("tiny==2.0", *more)
        assert answer.code == 16
        assert "it leaks" in answer.err
    assert snapshot(efsprov.root) == before
    assert efsprov.sync("tiny==3.0").code == 0
    assert efsprov("mark-good", "--root", efsprov.root, second).code == 0
    assert efsprov.sync("tiny==2.0", "--again").code == 0
    assert current(efsprov) == second


def test_a_damaged_release_is_made_again(efsprov):
    efsprov.sync("tiny==1.0")
    second = efsprov.sync("tiny==2.0", "--json").json["result"]["release"]
    efsprov("mark-bad", "--root", efsprov.root, second, "--damaged", "--note", "a bit flipped")
    efsprov("rollback", "--root", efsprov.root)
    made = efsprov.sync("tiny==2.0", "--again", "--json").json["result"]
    assert made["outcome"] == "published"
    assert made["release"] != second
    assert "damaged: a bit flipped" in efsprov("list", "--root", efsprov.root).out


def test_a_mark_on_a_pruned_release_can_be_cleared(efsprov):
    first = efsprov.sync("tiny==1.0", "--json").json["result"]["release"]
    efsprov("mark-bad", "--root", efsprov.root, first, "--note", "it leaks")
    for version in ("2.0", "3.0"):
        assert efsprov.sync(f"tiny=={version}").code == 0
    pruned = efsprov("prune", "--root", efsprov.root, "--keep-last", "1", "--grace-hours", "0", "--json")
    assert first in pruned.out
    assert efsprov.sync("tiny==1.0").code == 16
    assert efsprov("mark-good", "--root", efsprov.root, first).code == 0
    assert efsprov.sync("tiny==1.0").code == 0


def test_a_sync_ends_with_what_changed(efsprov):
    efsprov.sync("tiny==1.0", "--framework", "helper")
    answer = efsprov.sync("tiny==2.0", "--framework", "needs-helper", "--channel", "tiny")
    lines = [line.strip() for line in answer.out.splitlines()]
    assert "~ tiny 1.0 -> 2.0" in lines
    assert "+ needs-helper 1.0" in lines
    removed = efsprov.sync("tiny==2.0", "--channel", "tiny")
    assert "- helper 1.0" in [line.strip() for line in removed.out.splitlines()]


def test_requirements_are_arguments_too(efsprov):
    answer = efsprov("sync", "tiny==1.0", "helper", "--root", efsprov.root, "--runtime", RUNTIME)
    assert answer.code == 0, answer.err
    shown = efsprov("show", "--root", efsprov.root, "--channel", "tiny")
    assert "tiny==1.0, helper" in shown.out


def test_auto_is_the_newest_runtime_whose_interpreter_is_here(efsprov, tmp_path):
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    others = {"PATH": str(tmp_path / "no programs"), "PYENV_ROOT": str(tmp_path), "HOME": str(tmp_path)}
    answer = efsprov("plan", "--root", efsprov.root, "tiny==1.0", "--json", **others)
    assert answer.code == 0, answer.err
    assert answer.json["target"].startswith(f"python{own}-")
    assert any("is not on this machine" in note for note in answer.json["notes"])


def test_a_release_is_named_by_the_start_of_its_hash(efsprov):
    release = efsprov.sync("tiny==1.0", "--json").json["result"]["release"]
    shown = efsprov("show", "--root", efsprov.root, release.rpartition("-")[2][:4], "--json")
    assert shown.code == 0, shown.err
    assert release in shown.out


def test_several_frameworks_make_one_release(efsprov):
    assert efsprov.sync("tiny==1.0", "--framework", "helper").code == 0
    shown = efsprov("show", "--root", efsprov.root, "--channel", "tiny")
    assert "tiny==1.0, helper" in shown.out


def test_others_can_read_a_release_whatever_the_umask(efsprov):
    assert efsprov.sync("tiny==1.0", umask=0o077).code == 0
    for path in [efsprov.root, *efsprov.root.rglob("*")]:
        if not path.is_symlink() and "staging" not in path.parts and path.name != "lock":
            readable = 0o055 if path.is_dir() else 0o044
            assert path.stat().st_mode & readable == readable, path


def test_the_same_lock_is_nothing_to_do(efsprov):
    efsprov.sync("tiny==1.0")
    before = snapshot(efsprov.root)
    answer = efsprov.sync("tiny==1.0")
    assert answer.code == 0
    assert "nothing to do" in answer.out
    assert snapshot(efsprov.root) == before


def test_the_same_lock_again_repairs_current_where_a_publisher_died_before_the_swap(efsprov):
    efsprov.sync("tiny==1.0")
    release = current(efsprov)
    next(efsprov.root.rglob("current")).unlink()
    answer = efsprov.sync("tiny==1.0")
    assert "nothing to do" in answer.out
    assert current(efsprov) == release


def test_a_release_becomes_current_again_after_whoever_publishes(efsprov):
    """It may be what they have just published and are about to make current."""
    efsprov.sync("tiny==1.0")
    efsprov.sync("tiny==2.0")
    second = current(efsprov)
    (target,) = (efsprov.root / "deps" / "tiny").iterdir()
    channel = Root.open(efsprov.root, writing=True).channel("tiny", target.name)
    with publisher_lock(channel, wait=False):
        answer = efsprov.sync("tiny==1.0", "--no-wait")
        assert answer.code == 9, answer.err
        assert efsprov.sync("tiny==2.0", "--no-wait").code == 0
    assert current(efsprov) == second


def test_a_published_release_with_the_same_lock_is_made_current_again(efsprov):
    efsprov.sync("tiny==1.0")
    first = current(efsprov)
    efsprov.sync("tiny==2.0")
    answer = efsprov.sync("tiny==1.0", "--json")
    assert answer.json["result"]["outcome"] == "reactivated"
    assert current(efsprov) == first


def test_without_activation_current_stays(efsprov):
    efsprov.sync("tiny==1.0")
    first = current(efsprov)
    answer = efsprov.sync("tiny==2.0", "--no-activate", "--json")
    assert answer.json["result"]["activated"] is False
    assert current(efsprov) == first
    release = answer.json["result"]["release"]
    assert efsprov("activate", release[-8:], "--root", efsprov.root).code == 0
    assert current(efsprov) == release


def test_json_is_one_document_and_progress_goes_to_stderr(efsprov):
    answer = efsprov.sync("tiny==1.0", "--json")
    document = json.loads(answer.out)
    assert document["result"]["release"] == document["plan"]["lock_digest"][:0] + current(efsprov)
    assert "Smoke test" in answer.err


def test_a_release_that_does_not_import_is_never_published(efsprov):
    answer = efsprov.sync("broken")
    assert answer.code == 7
    assert "No module named 'nothing_that_exists'" in answer.err
    assert (
        "Traceback (most recent call last)"
        not in answer.err.partition("import nothing_that_exists")[0].partition("efsprov:")[0]
    )
    assert not efsprov.root.exists()


def test_what_the_smoke_test_imports_can_be_named(efsprov):
    answer = efsprov.sync("needs-helper", "--import", "helper", "--json")
    assert answer.json["result"]["smoke"]["imports"] == ["helper"]


def test_ctrl_c_leaves_no_trace_in_the_root(efsprov):
    efsprov.sync("tiny==1.0")
    before = snapshot(efsprov.root)
    process = efsprov.start("sync", "--root", efsprov.root, "--framework", "slow", "--runtime", RUNTIME)
    for line in process.stderr:
        if line.startswith("Smoke test"):
            break
    time.sleep(0.3)  # it is in the import now
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Cancelled" in err
    assert "Traceback" not in err
    assert snapshot(efsprov.root) == before


def test_two_syncs_at_once_end_with_both_releases(efsprov):
    arguments = ("sync", "--root", efsprov.root, "--runtime", RUNTIME, "--channel", "tiny")
    processes = [efsprov.start(*arguments, "--framework", f"tiny=={version}") for version in ("1.0", "2.0")]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [p.returncode for p in processes] == [0, 0], errors
    entries = efsprov("history", "--root", efsprov.root, "--json").json["entries"]
    assert [e["number"] for e in entries] == [1, 2, 3, 4]
    assert [e["do"] for e in entries] == ["publish", "activate"] * 2
    assert len({e["release"] for e in entries}) == 2


@pytest.fixture
def busy(efsprov):
    """A sync that holds the publisher lock while it imports a slow package."""
    process = efsprov.start(
        "sync", "--root", efsprov.root, "--framework", "slow", "--channel", "tiny", "--runtime", RUNTIME
    )
    for line in process.stderr:
        if line.startswith("Smoke test"):
            break
    yield process
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


def test_no_wait_names_who_is_publishing(efsprov, busy):
    answer = efsprov.sync("tiny==1.0", "--channel", "tiny", "--no-wait")
    assert answer.code == 9
    assert f"[{busy.pid}]" in answer.err


def test_waiting_names_who_is_publishing(efsprov, busy):
    second = efsprov.start(
        "sync", "--root", efsprov.root, "--framework", "tiny==1.0", "--channel", "tiny", "--runtime", RUNTIME
    )
    result = next(line for line in second.stderr if "is being published by" in line)
    assert f"[{busy.pid}]" in result
    busy.send_signal(signal.SIGTERM)
    assert second.communicate(timeout=60)[1] is not None
    assert second.returncode == 0


def test_auto_takes_the_newest_runtime_that_every_wheel_supports(efsprov):
    plan = efsprov("plan", "--root", efsprov.root, "--framework", "old-only", "--json").json
    assert plan["target"] == "python3.9-x86_64"
    plan = efsprov("plan", "--root", efsprov.root, "--framework", "tiny", "--json").json
    newest = next(target for target in targets_for("auto", "x86_64") if has_interpreter(target.python))
    assert plan["target"] == newest.name


def test_settings_file_says_what_a_channel_holds(efsprov):
    (efsprov.folder / "efsprov.toml").write_text(
        f'root = "efs"\nruntime = "{RUNTIME}"\n[channels.mine]\nframework = "tiny==2.0"\nrequirements = ["helper"]\n'
    )
    answer = efsprov("sync", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["plan"]["channel"] == "mine"
    assert {w["name"] for w in answer.json["plan"]["wheels"]} == {"tiny", "helper"}
    assert efsprov("rollback").code == 10  # nothing before it


def test_a_file_that_two_packages_bring_goes_by_the_override_that_the_message_names(efsprov, tmp_path):
    links = tmp_path / "links"
    links.mkdir()
    build_wheel(links, "vision", "1.0", {"cv/__init__.py": "X = 1\n"})
    build_wheel(links, "vision-headless", "1.0", {"cv/__init__.py": "X = 2\n"})
    build_wheel(links, "augment", "1.0", {"augment.py": "import cv\n"}, requires=["vision-headless"])
    build_wheel(links, "detect", "1.0", {"detect.py": "import cv\n"}, requires=["vision"])
    wanted = ("augment", "--framework", "detect", "--channel", "vision")
    refused = efsprov.sync(*wanted, PIP_FIND_LINKS=str(links))
    assert refused.code != 0
    named = re.search(r"write `([\w-]+)`\s+into a file, and set UV_EXCLUDE", refused.err)
    assert named, refused.err
    (tmp_path / "exclude").write_text(f"{named[1]}\n")
    answer = efsprov.sync(*wanted, PIP_FIND_LINKS=str(links), UV_EXCLUDE=str(tmp_path / "exclude"))
    assert answer.code == 0, answer.err
