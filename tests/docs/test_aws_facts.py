"""What the docs say of AWS in figures is in docs/reference/aws.md, with its source and the date on which it was looked up."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference/aws.md").read_text("utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| fact")]
# Limits and prices of AWS's as pages write them. A new one is added here, and to the page.
FIGURES = (
    *(
        "250 MB",
        "262,144,000",
        "50 MB",
        "10 GB",
        "10,240",
        "3,008",
        "1,769",
        "900 s",
        "15 minutes",
        "6,291,456",
        "4 KB",
    ),
    *("350 s", "177", "2049", "by the second", "72 hours", "1,500 MiB/s"),
)
OUR_OWN = {  # the same figure of something else
    ("how-to/models/asynchronous.md", "15 minutes"),  # how long a URL is good that we sign
    ("how-to/build-on-ec2.md", "15 minutes"),  # a builder's own timer
}


@pytest.mark.parametrize("row", ROWS)
def test_each_fact_has_its_source_and_its_date(row):
    source = row.rstrip(" |").rpartition(" | ")[2]
    assert source == "the same" or re.search(
        r"(\]\(https://docs\.|\]\(https://aws\.amazon\.com/|botocore [\d.]+).*, 2026-\d\d$", source
    )


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_of_a_page_is_a_fact_with_a_source(figure):
    pages = [str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if figure in path.read_text("utf-8")]
    told = [page for page in pages if page != "reference/aws.md" and (page, figure) not in OUR_OWN]
    assert not told or figure in PAGE, f"{told} say {figure}"


def test_the_list_of_exceptions_is_short_and_true():
    for page, figure in OUR_OWN:
        assert figure in (DOCS / page).read_text("utf-8")
