"""The table of faults in the explanation names tests that exist."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "explanation" / "builders.md"


def test_each_test_that_is_named_exists():
    named = re.findall(r"`((?:(?:ec2|ssh|on_lambda)/)?test_\w+\.py)(?:::(test_\w+))?`", PAGE.read_text("utf-8"))
    assert len(named) > 30
    for file, test in named:
        assert f"def {test}(" in (FOLDER / file).read_text("utf-8") if test else (FOLDER / file).is_file(), (file, test)
