from docs.run_commands import Command, commands_of

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
