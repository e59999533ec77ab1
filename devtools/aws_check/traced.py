"""`efsprov` with its requests to AWS written down: python -m devtools.aws_check.traced FILE ARGUMENT..."""

import sys
from pathlib import Path

from devtools.aws_check.calls import recorded
from efsprov.cli.main import main

if __name__ == "__main__":
    calls, sys.argv = Path(sys.argv[1]), ["efsprov", *sys.argv[2:]]
    with recorded(calls):
        main()
