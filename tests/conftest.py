"""What all tests need of their runner."""

import os
import signal

from hypothesis import HealthCheck, settings

# The same examples in every run, whatever the machine was busy with; `explore` looks for others: docs/fuzzing.md.
settings.register_profile("fixed", derandomize=True, database=None, deadline=None)
settings.register_profile(
    "explore",
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES") or 1000),
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def pytest_configure():
    """A runner in the background ignores Ctrl-C, and so would every program that the tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # What a test starts in another folder is this program all the same, and not one that is installed.
    if path := os.environ.get("PYTHONPATH"):
        os.environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "fixed")
