"""What can go wrong with the lab itself, apart from the program that runs in it."""


class LabError(Exception):
    """The lab could not do what was asked; the message says what and shows the guest's last console lines."""


class BootError(LabError):
    """The guest did not come up."""


class GuestDiedError(LabError):
    """The guest is gone: it was killed, powered off, or reached its time limit."""


class LabTimeoutError(LabError):
    """The guest or a program in it did not finish within its time."""
