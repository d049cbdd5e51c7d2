"""Running many test files, each in a process of its own, some at a time; and what a name has to have to be run.

A test file's process prints what failed, and last "N passed, N failed".
"""
import concurrent.futures
import re
import subprocess
import sys

FILES_AT_ONCE = 3
COUNT = re.compile(r"^(\d+) passed, (\d+) failed\s*\Z", re.MULTILINE)
TAIL_LINES = 200
LINE_COLUMNS = 400


def wanted(name, words):
    """Does a name have all the words? Blanks and underscores are the same."""
    return all(word.replace("_", " ") in name.replace("_", " ") for word in words)


def counts(output, status):
    """(passed, failed) of a test file; one that ended in another way than it says has failed."""
    match = COUNT.search(output)
    if match is None:
        return 0, 1
    passed, failed = int(match.group(1)), int(match.group(2))
    return passed, failed + (status != 0 and failed == 0)


def tail(output):
    lines = output.splitlines()[-TAIL_LINES:]
    return "\n".join(line if len(line) <= LINE_COLUMNS else line[:LINE_COLUMNS] + " ..." for line in lines)


def run_file(command):
    """(passed, failed, output) of a test file."""
    done = subprocess.run([sys.executable, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    output = done.stdout.decode("utf-8", "replace")
    return (*counts(output, done.returncode), output)


def run_files(commands):
    """Yields (name, passed, failed, output) as files end; `commands`: {name: arguments of Python}. The first ones start first."""
    with concurrent.futures.ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        running = {pool.submit(run_file, command): name for name, command in commands.items()}
        for future in concurrent.futures.as_completed(running):
            yield (running[future], *future.result())
