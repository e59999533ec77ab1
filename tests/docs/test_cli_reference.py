from docs.make_cli_reference import PAGE, render


def test_the_reference_says_what_the_command_line_says():
    assert PAGE.read_text("utf-8") == render(), "run: python docs/make_cli_reference.py"
