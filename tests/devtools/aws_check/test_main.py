"""The command: whose account it is, what it says before, what it removes for a check that was killed; and the page about it."""

import re
from pathlib import Path

import pytest

from devtools.aws_check import prices
from devtools.aws_check.__main__ import main
from devtools.aws_check.steps import MAKING
from devtools.strict_aws.double import StrictAws

PAGE = Path(__file__).parents[3] / "docs/how-to/check-on-aws.md"
HERE = ("--account", "123456789012", "--region", "us-east-1")


@pytest.fixture
def double(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with StrictAws() as aws:
        for name, value in aws.environment.items():
            monkeypatch.setenv(name, value)
        yield aws


def test_another_account_is_refused(double, capsys, tmp_path):
    assert main(["--account", "210987654321", "--region", "us-east-1", "--yes"]) == 2
    assert "of account 123456789012, not 210987654321: nothing was made" in capsys.readouterr().err
    assert [sent.action for sent in double.sent] == ["sts:GetCallerIdentity"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("--account", "1", "--region", "r"), (*HERE, "--remove", "../../x")])
def test_what_is_no_account_or_no_run_is_refused_before_anything_is_asked(double, arguments):
    assert main(list(arguments)) == 2
    assert double.sent == []


def test_the_cost_is_said_and_nothing_is_made_without_a_yes(double, capsys, tmp_path):
    assert main([*HERE]) == 2
    told = capsys.readouterr()
    assert f"at most {prices.LIMIT:.2f} $" in told.out
    assert "--yes" in told.err
    assert [sent.action for sent in double.sent] == ["sts:GetCallerIdentity"]
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_check_has_left_is_removed_by_its_run_alone(world, monkeypatch, capsys):
    for name, value in world.double.environment.items():
        monkeypatch.setenv(name, value)
    before = world.there()
    world.check.folder.mkdir()
    for step in (MAKING[0], MAKING[2]):
        step.run(world.check, world.options)
    kept = world.there()
    other = "0" * 14
    assert main([*HERE, "--remove", other], sleep=world.check.sleep) == 0
    assert world.there() == kept
    assert main([*HERE, "--remove", world.check.run], sleep=world.check.sleep) == 0
    assert "Nothing is left." in capsys.readouterr().out
    assert world.there() == before


def test_the_page_has_the_prices_and_they_stay_below_the_limit():
    page = PAGE.read_text()
    for price in prices.PRICES:
        shown = f"{price.dollars:.10f}".rstrip("0")
        assert re.search(rf"\b{re.escape(shown)}0? \$/{price.unit}", page), price
        assert price.source in page
    assert f"at most {prices.LIMIT:.0f} $" in page
    assert f"{prices.hourly():.2f} $ an hour" in page
    assert prices.estimate() <= 0.7
    assert prices.estimate() + (prices.HOURS + 1) * prices.hourly() <= prices.LIMIT
