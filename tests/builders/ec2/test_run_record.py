"""The record of a run: whole or not there, private, and it knows whether its process lives."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from efsprov.builders.ec2.run_record import Attempt, Process, RunRecord, expiry, read_records, records_folder
from efsprov.core.errors import BuilderError

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def record(run="0123456789abcdef"):
    return RunRecord(
        run=run, region="eu-central-1", account="1", process=Process.own(), created=NOW, expires=expiry(NOW, 120)
    )


def test_what_was_saved_is_read_back():
    made = record()
    made.attempts.append(Attempt(token="t", instance_type="m7i.xlarge", subnet="subnet-1"))
    made.save()
    assert read_records() == (made,)
    assert oct(made.path.stat().st_mode & 0o777) == "0o600"
    assert oct(records_folder().stat().st_mode & 0o777) == "0o700"
    made.remove()
    assert read_records() == ()


def test_damaged_records_are_passed_over():
    record().save()
    (records_folder() / "other.json").write_text('{"run": ')
    (records_folder() / "older.json").write_text('{"run": "x"}')
    assert [r.run for r in read_records()] == ["0123456789abcdef"]


def test_nothing_is_launched_without_a_record(tmp_path):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(BuilderError, match="Nothing is launched without a record"):
        record().save()


def test_a_process_is_distinguished_from_a_later_one_of_its_number():
    own = Process.own()
    assert own.here
    assert own.alive
    assert not own.model_copy(update={"started": "1"}).alive
    assert not own.model_copy(update={"boot": "another"}).alive
    assert own.model_copy(update={"host": "elsewhere"}).alive, "not known, so taken for alive"
    code = "from efsprov.builders.ec2.run_record import Process; print(Process.own().model_dump_json())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not Process.model_validate_json(result).alive


def test_an_unanswered_attempt_is_distinguished_from_a_refused_one():
    made = record()
    assert not made.unanswered
    made.attempts = [Attempt(token="t", instance_type="a", subnet="s", refused="InsufficientInstanceCapacity")]
    assert not made.unanswered
    made.attempts.append(Attempt(token="u", instance_type="b", subnet="s"))
    assert made.unanswered
    made.instance = "i-1"
    assert not made.unanswered
