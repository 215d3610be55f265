"""What all tests need of their runner."""

import signal


def pytest_configure():
    """A runner in the background ignores Ctrl-C, and so would every program that the tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
