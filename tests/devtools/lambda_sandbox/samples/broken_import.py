print("module loaded")

import no_such_module  # noqa: E402, F401


def handle(event, context): ...
