import pytest

from efsprov.core.wording import counted


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (0, "file", "0 files"),
        (1, "file", "1 file"),
        (2, "wheel", "2 wheels"),
        (1, "library", "1 library"),
        (3, "library", "3 libraries"),
    ],
)
def test_a_noun_goes_with_its_number(number, noun, said):
    assert counted(number, noun) == said
