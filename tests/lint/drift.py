#!/usr/bin/env python3
"""Every key of the schema stands on the reference page and in config/sluice.yaml, there at its default if it has one.

usage: drift.py SLUICE
"""
import pathlib
import re
import subprocess
import sys

KEPT_BY_A_RELOAD = {"workers": "restart", "cluster_id": "restart; a reload with another value is refused"}
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def schema_keys():
    """The rows as they stand in the source, so that a page that leaves one out is noticed."""
    source = (ROOT / "router" / "topology" / "schema.c").read_text()
    return set(re.findall(r'^    \{"([a-z_.\[\]]+)", SCHEMA_', source, re.MULTILINE))


def reference_rows(sluice):
    """{key: default or None} from the table of `sluice help config`."""
    page = subprocess.run([sluice, "help", "config"], stdout=subprocess.PIPE, text=True, check=True, timeout=20).stdout
    rows = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[0].startswith("`"):
            default = re.fullmatch(r"`(.*)`", cells[2])
            rows[cells[0].strip("`")] = default.group(1) if default else None
            if not cells[5]:
                raise SystemExit(f"the reference page says nothing about {cells[0]}")
            # What a reload cannot change is rare, and each such key has its reason in schema.h.
            if cells[4] != KEPT_BY_A_RELOAD.get(cells[0].strip("`"), "reload"):
                raise SystemExit(f"the reference page says of {cells[0]} that it changes by: {cells[4]}")
    return rows


def sample_values():
    """{key: [values]} of config/sluice.yaml, which keeps to one key on a line; a commented key counts, too."""
    values = {}
    above = []  # [indentation, key, whether it holds a list] of the keys that the line stands below
    for line in (ROOT / "config" / "sluice.yaml").read_text().splitlines():
        match = re.fullmatch(r"( *(?:# *)?)(- )?([a-z_]+):(?: +(.*?))?(?: +#.*)?", line)
        if not match:
            continue
        margin, dash, key, value = match.groups()
        indentation = len(margin) + len(dash or "") - (2 if "#" in margin else 0)
        while above and above[-1][0] >= indentation:
            above.pop()
        if dash and above:
            above[-1][2] = True
        path = "".join(f"{name}{'[]' if is_list else ''}." for _, name, is_list in above) + key
        values.setdefault(path, []).append(value or "")
        above.append([indentation, key, False])
    return values


def main():
    problems = []
    schema = schema_keys()
    reference = reference_rows(sys.argv[1])
    sample = sample_values()
    if len(schema) < 50:
        problems.append(f"only {len(schema)} rows were found in schema.c: has its form changed?")
    for key in sorted(schema - set(reference)):
        problems.append(f"{key} is not on the reference page")
    for key in sorted(set(reference) - schema):
        problems.append(f"{key} is on the reference page, but no row of the schema")
    for key in sorted(schema - set(sample)):
        problems.append(f"{key} is not in config/sluice.yaml")
    for key, default in sorted(reference.items()):
        is_item = "[]" in key
        if default is not None and not is_item and sample.get(key, [default]) != [default]:
            problems.append(f"{key} is {sample[key]} in config/sluice.yaml; its default is {default}")
    for problem in problems:
        print(f"FAILED {problem}")
    print(f"{len(schema)} passed, {len(problems)} failed")
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main())
