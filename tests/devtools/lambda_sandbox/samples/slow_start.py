import signal
from pathlib import Path

tried = Path("/tmp/tried")
if not tried.exists():
    tried.touch()
    signal.pause()


def handle(event, context):
    return "up at last"
