"""Waiting for what must happen. A limit is long and never decides whether a test passes: when it is over, the test has failed."""
import threading
import time

PATIENCE_SECONDS = 45.0
POLL_SECONDS = 0.005
# A test that is about a short time (a deadline that passes, a pace that keeps to one) fails on a machine that is too slow for it.
# It is tried again with all its times longer: what is wrong fails each time.
SCALES = (1, 5, 25)


def eventually(condition, what="the condition"):
    """Looks again and again until condition() is truthy and returns its value; fails loudly when patience is over. For what
    nobody announces: where a line of the log or an event tells, wait for that."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE_SECONDS:.0f} s in vain for {what}")
        pause.wait(POLL_SECONDS)


def timed(attempt):
    """attempt(scale), where every short time is multiplied by the scale; the last failure counts."""
    for scale in SCALES:
        try:
            return attempt(scale)
        except AssertionError as error:
            if scale == SCALES[-1]:
                raise
            print(f"too slow, or wrong, with times x{scale}: {error}"[:500], flush=True)
