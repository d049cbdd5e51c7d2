"""Bodies that must not be held in memory, and what Sluice may grow by."""
import hashlib
import re
import threading

from harness.waiting import PATIENCE_SECONDS, eventually

BLOCK = bytes(range(256)) * 4096  # 1 MiB
LARGE = 48                        # blocks of a message that must not be held in memory
GROWTH_KIB = 4096                 # what one exchange may cost Sluice at most


def sha(data):
    return hashlib.sha256(data).hexdigest()


LARGE_SHA = sha(BLOCK * LARGE)


def is_sanitized(sluice):
    return re.search("lib[at]san", sluice.read_proc("maps")) is not None


def check_growth(sluice, before_kib):
    if is_sanitized(sluice):
        return  # freed memory stays in quarantine
    growth = sluice.memory_kib("VmHWM") - before_kib
    assert growth < GROWTH_KIB, f"grew by {growth} KiB"


def send_counting(link, total, sent, paused):
    """Sends `total` blocks; `paused` is set when nothing moved for a while, `sent[0]` counts bytes."""
    link.socket.settimeout(0.3)
    for _ in range(total):
        rest = memoryview(BLOCK)
        while rest:
            try:
                count = link.socket.send(rest)
            except TimeoutError:
                paused.set()
                link.socket.settimeout(PATIENCE_SECONDS)
                continue
            sent[0] += count
            rest = rest[count:]


def wait_still(count):
    """Until `count()`, which is above zero, has been the same for a while. To be too early makes the test weaker, and fails nothing."""
    eventually(lambda: count() > 0)
    before = -1
    while count() != before:
        before = count()
        threading.Event().wait(0.15)
