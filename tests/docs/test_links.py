"""Every relative link of a page leads to a file that is there, and every page can be reached from the README."""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PAGES = sorted([TOP / "README.md", TOP / "CHANGELOG.md", *(TOP / "docs").rglob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def targets(page):
    for link in LINK.findall(page.read_text("utf-8")):
        if not re.match(r"[a-z]+:|#", link):
            yield link, (page.parent / link.partition("#")[0]).resolve()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_links_lead_to_files(page):
    assert [link for link, target in targets(page) if not target.exists()] == []


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [TOP / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            waiting += [target for _, target in targets(page) if target.suffix == ".md" and target.exists()]
    assert {str(page.relative_to(TOP)) for page in PAGES if page.name != "CHANGELOG.md"} <= {
        str(page.relative_to(TOP)) for page in reached
    }
