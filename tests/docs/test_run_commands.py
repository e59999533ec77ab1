import subprocess

from docs.run_commands import Command, commands_of, script_of

PAGE = """
Text, and `$ inline`.

```console
$ efsprov sync --root ./efs \\
    --framework torch
output is not a command
# exit 4
$ efsprov plan
$ ls
```

```bash
$ not-this
```
"""


def test_finds_the_commands_of_console_blocks():
    assert commands_of(PAGE) == [
        Command("efsprov sync --root ./efs --framework torch", 0),
        Command("efsprov plan", 4),
        Command("ls", 0),
    ]


def run(*commands):
    return subprocess.run(["bash", "-c", script_of(list(commands))], capture_output=True, text=True, check=False)


def test_commands_share_a_shell_and_are_shown():
    done = run(Command("export WHERE=here", 0), Command("echo it is $WHERE", 0))
    assert done.returncode == 0
    assert "$ echo it is $WHERE" in done.stdout
    assert "it is here" in done.stdout


def test_stops_at_the_first_failure():
    done = run(Command("(exit 3)", 0), Command("echo not reached", 0))
    assert done.returncode == 3
    assert "not reached" not in done.stdout.replace("$ echo not reached", "")
    assert "instead of 0" in done.stderr


def test_a_command_that_should_fail_must():
    assert run(Command("(exit 4)", 4)).returncode == 0
    assert run(Command("true", 4)).returncode == 1
