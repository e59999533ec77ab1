import signal

pytest_plugins = ["devtools.nfs_lab.fixtures"]


def pytest_configure():
    # A shell starts what it puts in the background with SIGINT ignored, and so would be what the tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
