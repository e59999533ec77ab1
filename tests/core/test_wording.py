import pytest

from efsprov.core.wording import did_you_mean, join, pluralize, printable


@pytest.mark.parametrize(
    ("number", "noun", "output"),
    [
        (0, "file", "0 files"),
        (1, "file", "1 file"),
        (2, "wheel", "2 wheels"),
        (1, "library", "1 library"),
        (3, "library", "3 libraries"),
    ],
)
def test_a_noun_goes_with_its_number(number, noun, output):
    assert pluralize(number, noun) == output


def test_what_is_near_is_named_and_nothing_else():
    assert did_you_mean("tensrflow", ["tensorflow", "torch"]) == "Did you mean tensorflow? "
    assert did_you_mean("net", ["nets", "neta"]) == "Did you mean nets or neta? "
    assert did_you_mean("x", ["tensorflow"]) == did_you_mean("x", []) == ""


def test_join():
    assert join(["a"]) == "a"
    assert join(["a", "b", "c"], "or") == "a, b or c"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[2Jgone\x07", "\\x1b[2Jgone\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("é 日本 ✓", "é 日本 ✓"),
        ("\udc80", "\\udc80"),
    ],
)
def test_what_a_terminal_would_act_on_is_made_visible(text, shown):
    assert printable(text) == shown
