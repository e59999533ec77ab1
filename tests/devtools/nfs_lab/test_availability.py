import pytest

from devtools.nfs_lab.availability import enforce


def test_a_lab_that_can_run_lets_the_test_go_on() -> None:
    enforce(None, promised=True)
    enforce(None, promised=False)


def test_a_lab_that_cannot_run_skips_with_the_reason() -> None:
    with pytest.raises(pytest.skip.Exception, match="no such package"):
        enforce("no such package", promised=False)


def test_a_lab_that_was_promised_and_cannot_run_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match="no such package"):
        enforce("no such package", promised=True)
