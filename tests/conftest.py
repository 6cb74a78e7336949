"""What holds for all tests."""

import signal


def pytest_configure() -> None:
    """Let SIGINT interrupt what tests start, though a job in a shell's background ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
