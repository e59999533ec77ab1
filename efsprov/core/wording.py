"""Numbers in sentences for people."""


def counted(number: int, noun: str) -> str:
    """Return ``number`` with its noun in the right form: ``1 wheel``, ``2 wheels``, ``3 libraries``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("ry") else f"{number} {noun}s"
