#!/usr/bin/env python3
"""Deliberate mistakes in the router, each of which the simulator must find: tests/sim/mutants/NAME.mutant.

Usage: tests/sim/mutants.py [NAME...] [--seeds N] [--jobs N] [--ci] [--build]

A mutant says in its first line what the mistake is, then `file:`, `rules:` (one of them must break; * is any), `seeds:` (within how many) and, for those
that every change is tried with, `ci: yes`; with `cases: yes` a case (tests/sim/cases.txt) must fail, and not a seed; of the others --ci only looks whether their old text still stands there. Blocks follow: `<<<<`, the old text, which stands in the file exactly once, `====`, the new text, `>>>>`. A
further `file:` line before a block is for the blocks behind it.

Prints a row of a table for each mutant, then `N passed, N failed`. --build: only makes them.
"""
import argparse
import pathlib
import re
import resource
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MUTANTS = ROOT / "tests/sim/mutants"
BUILD = ROOT / "build/mutants"
PLAIN = "build/release/sim"
CASES = "tests/sim/cases.txt"
SEEDS = 2000


class Failed(Exception):
    """Why a mutant did not pass, in words for the table."""


class Mutant:
    def __init__(self, path):
        self.name = path.stem
        self.is_for_cases = False
        self.what, self.rules, self.seeds, self.is_for_ci = "", [], SEEDS, False
        self.blocks = []  # (file, old, new)
        self.read(path.read_text())

    def read(self, text):
        part, old, file = None, [], None
        for line in text.splitlines():
            if part is not None and line not in ("====", ">>>>"):
                part.append(line)
            elif line == "<<<<":
                part = old = []
            elif line == "====":
                part = new = []
            elif line == ">>>>":
                self.blocks.append((file, "\n".join(old), "\n".join(new)))
                part = None
            elif line.startswith("#"):
                self.what = self.what or line[1:].strip()
            elif line.strip():
                key, value = (word.strip() for word in line.split(":", 1))
                file = value if key == "file" else file
                self.set(key, value)

    def set(self, key, value):
        if key == "rules":
            self.rules = [rule.strip() for rule in value.split(",")]
        elif key == "seeds":
            self.seeds = int(value)
        elif key == "cases":
            self.is_for_cases = value == "yes"
        elif key == "ci":
            self.is_for_ci = value == "yes"
        elif key != "file":
            raise SystemExit(f"{self.name}: {key}: is no word of a mutant")

    def sources(self):
        """The mutated text of each file."""
        texts = {}
        for file, old, new in self.blocks:
            path = ROOT / file
            text = texts.get(file) or (path.read_text() if path.exists() else "")
            if text.count(old) != 1:
                raise Failed(f"its old text stands {text.count(old)} times in {file}")
            # A block that is taken out takes its line end with it.
            if new == "" and old + "\n" in text:
                old += "\n"
            texts[file] = text.replace(old, new)
        return texts


def run(command):
    return subprocess.run(command, cwd=ROOT, shell=isinstance(command, str), capture_output=True, text=True)


def make_commands(target, changed):
    """What make would run, were these files changed: its own lines, without the echo before them."""
    changed = [word for file in changed for word in ("-W", file)]
    said = run(["make", "-n", "V=1", *changed, target]).stdout
    return dict(re.findall(r"^echo (?:cc|link) (\S+) && (.*)$", said, re.MULTILINE))


def call(command, what):
    done = run(command)
    if done.returncode != 0:
        raise Failed(f"does not {what}: {(done.stderr.strip().splitlines() or ['?'])[0]}")


def build(mutant):
    texts = mutant.sources()
    folder = f"build/mutants/{mutant.name}"
    commands = make_commands(PLAIN, texts)
    link = commands.get(PLAIN, "")
    for file, text in texts.items():
        own, object_file = f"{folder}/{file}", "build/release/" + file.replace(".c", ".o")
        if file not in commands or object_file not in link:
            raise Failed(f"{file} is no part of the simulator")
        (ROOT / own).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / own).write_text(text)
        own_object = own.replace(".c", ".o")
        command = commands[file].replace(" -MMD -MP", "").replace(f"-o {object_file} {file}", f"-o {own_object} {own}")
        call(command, "compile")
        link = link.replace(f" {object_file} ", f" {own_object} ")
    call(link.replace(f"-o {PLAIN} ", f"-o {folder}/sim "), "link")
    return f"{folder}/sim"


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def find(mutant, program, seeds, jobs):
    """The first seed that fails and does not fail without the mistake, and the rule that it broke; None and None when there is no such seed."""
    start, end = 0, min(seeds, mutant.seeds)
    while start < end:
        said = run([program, "--from", str(start), "--seeds", str(end - start), "--jobs", str(jobs), "--first-failure"]).stdout
        first = re.search(r"^seed (\d+): (\w+)", said, re.MULTILINE)
        if first is None:
            break
        start = int(first.group(1)) + 1
        if run([PLAIN, "--seed", first.group(1)]).returncode == 0:
            return int(first.group(1)), first.group(2)
    return None, None


def find_in_cases(program):
    """The same for a case: its seed and rule."""
    said = run([program, "--regressions", CASES]).stdout
    first = re.search(r"^seed (\d+): (?!every)(\w+); fingerprint", said, re.MULTILINE)
    return (int(first.group(1)), first.group(2)) if first else (None, None)


def judge(mutant, seed, rule):
    if seed is None:
        raise Failed("NOT FOUND")
    if "*" not in mutant.rules and rule not in mutant.rules:
        raise Failed(f"found at seed {seed}, but by {rule}")
    return f"{'case of ' if mutant.is_for_cases else ''}seed {seed}: {rule}"


def try_one(mutant, options):
    before = cpu_seconds()
    try:
        program = build(mutant)
        found = (None, None)
        if not options.build:
            found = find_in_cases(program) if mutant.is_for_cases else find(mutant, program, options.seeds, options.jobs)
        words = "made" if options.build else judge(mutant, *found)
        passed = True
    except Failed as reason:
        words, passed = f"**{reason}**", False
    print(f"| {mutant.name} | {mutant.what} | {words} | {cpu_seconds() - before:.1f} |", flush=True)
    return passed


def still_fits(mutant):
    """A change of the router may leave a mutant nothing to change: then nobody would hear of it until all are tried."""
    try:
        mutant.sources()
        return True
    except Failed as reason:
        print(f"| {mutant.name} | {mutant.what} | **{reason}** | 0.0 |", flush=True)
        return False


def read_options():
    parser = argparse.ArgumentParser(description="Tries deliberate mistakes on the simulator.")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--ci", action="store_true")
    parser.add_argument("--build", action="store_true")
    return parser.parse_args()


def main():
    options = read_options()
    paths = [MUTANTS / f"{name}.mutant" for name in options.names] or sorted(MUTANTS.glob("*.mutant"))
    every = list(map(Mutant, paths))
    mutants = [mutant for mutant in every if mutant.is_for_ci or not options.ci]
    looked_at = [mutant for mutant in every if mutant not in mutants]
    made = run(["make", "-s", f"-j{options.jobs}", PLAIN])
    if made.returncode != 0:
        sys.exit(made.stderr)
    print("| mutant | the mistake | found | CPU s |\n|---|---|---|---|")
    passed = sum(map(still_fits, looked_at)) + sum(try_one(mutant, options) for mutant in mutants)
    print(f"{passed} passed, {len(every) - passed} failed")
    return passed < len(every)


if __name__ == "__main__":
    sys.exit(main())
