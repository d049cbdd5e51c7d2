#!/usr/bin/env python3
"""The judges of the source tree: floors, circles, fences, calls, size, booleans, headers, banned words, what README.md names, citations.

Usage: tests/law/law.py       Each finding is `place: what is wrong`; the last line is `N passed, N failed`.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROUTER = ROOT / "router"
FILE_LINES = 600
FUNCTION_LINES = 60
STRUCT_BOOLEANS = 2  # a third one is a state machine that wants to be drawn

# Which file may include which library's headers. A new entry needs a reason that holds in review.
FENCES = {
    "event2/event.h": {"net/poller.c", "net/signals.c"},
    "event2/event_struct.h": {"net/poller.h", "net/signals.c"},
    "event2/": set(),
    "ares.h": {"net/resolver.c"},
    "openssl/": {"control/admin_access.c", "net/tls_channel.c", "net/tls_client.c", "net/tls_context.c", "net/tls_files.c", "net/tls_server.c"},
    "nghttp2/": {"http/h2_head.h", "http/h2_link.h", "http/h2_memory.h"},  # the private headers of the HTTP/2 files
    "llhttp.h": {"http/h1_parse.c"},
    "yaml.h": {"topology/yaml_tree.c"},
    "xxhash.h": {"base/hash.h"},
    "jansson.h": {"cli/admin_answer.c", "control/admin.c", "control/config.c", "control/status.c"},
    "zlib.h": {"routing/timestamp_check.c"},
    "pthread.h": {"base/thread.c"},
}
# What only these files may call: the seam at which time, chance and the outside world are replaced, at link time. (The commands that talk to a
# running Sluice are programs of their own, which wait for an answer and end.)
CALLS = {
    r"clock_gettime|gettimeofday|time|clock|u?sleep|nanosleep|clock_nanosleep|timerfd_\w+": ("base/clock.c", "cli/admin_client.c"),
    r"getrandom|getentropy|s?random|s?rand|[ejlmn]rand48|arc4random\w*|RAND_\w+": ("base/random.c",),
    r"pthread_\w+|thrd_\w+|mtx_\w+|cnd_\w+": ("base/thread.c",),
    r"signal|sigaction|sigprocmask|signalfd": ("net/signals.c", "cli/terminal.c"),
    r"[gs]etrlimit|prlimit|sched_\w+|sysconf|get_nprocs(_conf)?|getauxval": ("base/descriptors.c", "base/processors.c"),
    r"event_\w+|evsignal_\w+|evdns_\w+|evutil_\w+|poller_base": ("net/poller.", "net/signals.c"),
    r"ares_\w+": ("net/resolver.c",),
    r"eventfd": ("net/wakeup.c",),
    r"epoll_\w+|p?poll|p?select": ("base/sink.c", "net/poller.c", "cli/admin_client.c", "cli/terminal.c"),
    r"socket|socketpair|accept4?|bind|listen|connect|shutdown|recv\w*|send(to|m?msg)?|[gs]etsockopt|get(peer|sock)name": (
        "net/socket.c", "net/unix_socket.c", "base/sink.c", "cli/admin_client.c"),
    r"BIO_new_(socket|fd|connect|accept|dgram)|SSL_set_[rw]?fd": ("net/tls_channel.c",),  # the socket of kTLS
    r"getaddrinfo|getnameinfo|gethostby\w+": ("cli/admin_client.c",),
    r"open|openat|creat|read|pread|readv|write|pwrite|writev|close|fcntl|ioctl|dup[23]?|pipe2?|mmap": (
        "base/file.c", "base/sink.c", "net/poller.c", "net/socket.c", "net/unix_socket.c", "net/wakeup.c", "cli/admin_client.c",
        "cli/terminal.c"),
    r"f?open|fdopen|freopen|BIO_new_file|[fl]?stat|access|opendir|unlink|rename|mkdir|f?chmod": ("base/file.c", "base/sink.c", "net/unix_socket.c"),
}

# Lines above debug that nobody outside can cause as often as he likes, and what bounds them. Every other one asks base/log_limit.h, and says so.
BOUNDED_LINES = {
    "%s": "told once, or once a change",  # a node's TLS; a signal
    "access_log_lost": "once a second", "all_down": "probes", "bug": "a fault of ours", "certificate_loaded": "a look at files",
    "certificate_not_loaded": "a look at files", "connections_clamped": "start", "drain_cut": "the end", "epoch_not_applied": "reload",
    "libevent": "a fault of ours", "listener_missing": "reload", "listening": "start", "node_address": "once a second", "node_admin": "operator",
    "node_health": "probes", "node_set_aside": "probes", "node_version": "probes", "probe_missing": "reload", "probe_skipped": "probes",
    "ready": "start", "reload": "operator", "reload_finding": "operator", "resolve_failed": "once a second", "signal": "operator",
    "socket_mode_not_set": "reload", "start_failed": "start", "stopped": "the end", "worker_drain": "the end",
}

# What was there before the rule, to be emptied: an entry that is no longer needed is a finding, too. Nothing is added here.
KNOWN_CIRCLES = []
KNOWN_BOOLEANS = {}

BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|strtok|gets)\s*\(")
# Written in pieces, so that this file obeys itself.
UNFINISHED = re.compile(r"\b(%s)\b" % "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]))

passed = 0
failed = 0


def judge(good, place, words):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"{place}: {words}")


def shown(path):
    return str(path.relative_to(ROOT))


def read(path):
    return path.read_text(encoding="utf-8", errors="replace")


def without_comments(source, keep_strings=False):
    """C text with comments (and strings) blanked; lines and columns stay where they were."""
    def blank(match):
        text = match.group(0)
        if keep_strings and text[0] in "\"'":
            return text
        return re.sub(r"[^\n]", " ", text)
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", blank, source, flags=re.S)


def includes_of(path):
    for number, line in enumerate(without_comments(read(path), keep_strings=True).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1) == "<", match.group(2)


# ---- floors ----

def read_floors():
    floors = {}
    place = ROUTER / "FLOORS"
    for number, line in enumerate(read(place).splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        unknown = [w for w in words[1:] if w not in floors]
        judge(not unknown and words[0] not in floors, f"{shown(place)}:{number}",
              f"{words[0]} may only name folders of the lines above it, not {' '.join(unknown) or words[0]}")
        floors[words[0]] = set(words[1:])
    return floors


def judge_floors(sources):
    floors = read_floors()
    folders = {p.name for p in ROUTER.iterdir() if p.is_dir()}
    for folder in sorted(folders ^ set(floors)):
        judge(False, "router/FLOORS", f"{folder} is {'not a folder' if folder in floors else 'missing here'}")
    for path in sources:
        own = path.parent.name
        allowed = floors.get(own, set()) | {own}
        for number, is_system, name in includes_of(path):
            if is_system:
                continue
            place = f"{shown(path)}:{number}"
            if not (ROUTER / name).is_file():
                judge(False, place, f'"{name}" is no file under router/; includes are written from there')
                continue
            judge(name.split("/")[0] in allowed, place, f'{own} may not include "{name}" (router/FLOORS)')


# ---- circles ----

def room_of(path):
    """A .c and the .h beside it are one room: net/conn."""
    return str(path.relative_to(ROUTER).with_suffix(""))


def definitions_of(path):
    """Names of the functions and tables that a .c file defines for others."""
    source = without_comments(read(path))
    names = re.findall(r"^(?!static\b|typedef\b|struct \w+ \{)[a-z][\w \*]*?\b(\w+)\([^;{}]*\)\s*\{", source, flags=re.M)
    return names + re.findall(r"^(?!static\b|extern\b)[a-z][\w \*]*?\b(\w+)(?:\[[^\]]*\])* = ", source, flags=re.M)


def needs_of(router):
    """Room -> rooms whose functions or tables it uses, and headers without a .c that it includes. To include a room for its types is no need
    of the room: a private header may show what the public one has."""
    owners = {name: room_of(path) for path in router if path.suffix == ".c" for name in definitions_of(path)}
    with_code = {room_of(path) for path in router if path.suffix == ".c"}
    needs = {room_of(path): set() for path in router}
    for path in router:
        room = room_of(path)
        included = {str(pathlib.Path(name).with_suffix("")) for _, is_system, name in includes_of(path) if not is_system}
        needs[room] |= included - with_code
        if path.suffix == ".c":
            needs[room] |= {owners[word] for word in set(re.findall(r"\w+", without_comments(read(path)))) & owners.keys()}
    return {room: (rooms - {room}) & needs.keys() for room, rooms in needs.items()}


def circles_in(needs):
    """The sets of rooms that reach each other."""
    def reached_from(start):
        reached, waiting = set(), [start]
        while waiting:
            for room in needs[waiting.pop()] - reached:
                reached.add(room)
                waiting.append(room)
        return reached
    reached = {room: reached_from(room) for room in needs}
    return {frozenset(other for other in reached[room] if room in reached[other]) for room in needs if room in reached[room]}


def judge_circles(router):
    needs = needs_of(router)
    judge(any(needs.values()), "router", "no file needs another one: this judge looks for includes and calls")
    circles = circles_in(needs)
    known = {frozenset(rooms) for rooms in KNOWN_CIRCLES}
    for circle in sorted(circles, key=sorted):
        calls = [f"{room} needs {', '.join(sorted(needs[room] & circle))}" for room in sorted(circle)]
        judge(circle in known, "router/" + min(circle), "stands in a circle: " + "; ".join(calls))
    for circle in sorted(known - circles, key=sorted):
        judge(False, "tests/law/law.py", f"{', '.join(sorted(circle))} are no longer a circle; mend KNOWN_CIRCLES")
    judge(True, "", "")


# ---- outside libraries ----

def judge_fences(sources):
    for path in sources:
        name = str(path.relative_to(ROUTER))
        for number, is_system, header in includes_of(path):
            fence = next((f for f in FENCES if is_system and header.startswith(f)), None)
            if fence is not None:
                judge(name in FENCES[fence], f"{shown(path)}:{number}",
                      f"<{header}> is only for {', '.join(sorted(FENCES[fence])) or 'nobody yet'}")


# ---- size ----

def functions_of(path):
    """Yields (line, name, lines) of each function: from the first line of its signature to the brace at its end."""
    lines = without_comments(read(path)).splitlines()
    start = 0
    for number, line in enumerate(lines, 1):
        if line.startswith("{") and start:
            begin, name = start, re.search(r"(\w+)\s*\(", " ".join(lines[start - 1:number]))
            end = next((n for n in range(number, len(lines) + 1) if lines[n - 1].startswith("}")), len(lines))
            if name:
                yield begin, name.group(1), end - begin + 1
            start = 0
        elif not line.strip() or line[0] in "#}":
            start = 0
        elif not line[0].isspace() and not start:
            start = number
        if line.rstrip().endswith(";"):
            start = 0


def read_allowances():
    """tests/size.allow: `path[:function]  reason` a line; best empty."""
    allowances = {}
    path = ROOT / "tests/size.allow"
    for number, line in enumerate(read(path).splitlines() if path.exists() else [], 1):
        words = line.split("#")[0].split(None, 1)
        if words:
            judge(len(words) == 2, f"tests/size.allow:{number}", "an allowance needs a reason")
            allowances[words[0]] = number
    return allowances


def judge_size(sources):
    allowances = read_allowances()
    used = set()
    for path in sources:
        lines = read(path).count("\n")
        is_large = lines > FILE_LINES
        if is_large and shown(path) in allowances:
            used.add(shown(path))
        judge(not is_large or shown(path) in allowances, shown(path), f"{lines} lines, {FILE_LINES} are the limit")
        if path.suffix != ".c":
            continue
        for line, name, length in functions_of(path):
            key = f"{shown(path)}:{name}"
            is_long = length > FUNCTION_LINES
            if is_long and key in allowances:
                used.add(key)
            judge(not is_long or key in allowances, f"{shown(path)}:{line}",
                  f"{name} has {length} lines, {FUNCTION_LINES} are the limit")
    for key in sorted(set(allowances) - used):
        judge(False, f"tests/size.allow:{allowances[key]}", f"{key} is no longer too long; take the line out")


# ---- booleans ----

def structs_of(path):
    """Yields (line, name, booleans) of each struct; those inside of it count as its own, and so does a field of one bit."""
    source = without_comments(read(path))
    for match in re.finditer(r"\bstruct\s+(\w+)\s*\{", source):
        depth, end = 1, match.end()
        while depth > 0 and end < len(source):
            depth += {"{": 1, "}": -1}.get(source[end], 0)
            end += 1
        members = [re.match(r"\s*(?:bool\s+([\w\s,:\[\]]+)|\w+\s+(\w+\s*:\s*1))$", member, flags=re.S)
                   for member in re.split(r"[;{}]", source[match.end():end])]
        yield (source.count("\n", 0, match.start()) + 1, match.group(1),
               sum((member.group(1) or "").count(",") + 1 for member in members if member))


def judge_booleans(router):
    found = 0
    used = set()
    for path in router:
        for line, name, booleans in structs_of(path):
            found += booleans
            key = f"{room_of(path)}:{name}"
            if booleans > STRUCT_BOOLEANS and KNOWN_BOOLEANS.get(key) == booleans:
                used.add(key)
            judge(booleans <= STRUCT_BOOLEANS or key in used, f"{shown(path)}:{line}",
                  f"struct {name} has {booleans} booleans, {STRUCT_BOOLEANS} are the limit: draw its states as one enum with one writer")
    judge(found, "router", "no boolean was found: this judge looks for members of the type bool")
    for key in sorted(set(KNOWN_BOOLEANS) - used):
        judge(False, "tests/law/law.py", f"KNOWN_BOOLEANS says {KNOWN_BOOLEANS[key]} of {key}, which is no longer so; mend it")


# ---- words ----

def text_files():
    skipped = {".git", "build", "node_modules", "__pycache__"}
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in skipped]
        for name in names:
            path = pathlib.Path(folder) / name
            if path.is_file() and path.stat().st_size < 1_000_000 and b"\0" not in path.read_bytes()[:4096]:
                yield path


def judge_words(sources):
    for path in text_files():
        hits = [n for n, line in enumerate(read(path).splitlines(), 1) if UNFINISHED.search(line)]
        judge(not hits, f"{shown(path)}:{hits[0] if hits else 0}", "says that something is left to be done")
    for path in sources:
        if ROUTER not in path.parents:
            continue
        for number, line in enumerate(without_comments(read(path)).splitlines(), 1):
            match = BANNED.search(line)
            if match:
                judge(False, f"{shown(path)}:{number}", f"{match.group(1)} is banned: it knows no bound")
        judge(True, "", "")


def judge_calls(sources):
    calls = [(re.compile(r"(?<![\w.>])(?:%s)(?=\s*\()" % pattern), places) for pattern, places in CALLS.items()]
    for path in sources:
        name = str(path.relative_to(ROUTER))
        lines = without_comments(read(path)).splitlines()
        for call, places in calls:
            hits = [] if name.startswith(places) else [(n, m) for n, m in enumerate(map(call.search, lines), 1) if m]
            judge(not hits, f"{shown(path)}:{hits[0][0] if hits else 0}",
                  f"{hits[0][1].group(0) if hits else ''} may only be called in {', '.join(places)}")


# ---- log lines ----

LOG_CALL = re.compile(r'log_line\(\s*(.*?),\s*"event=([\w%]+)([^;]*?)\);', re.DOTALL)


def judge_log_lines(sources):
    """Who can connect must not be able to fill the log."""
    seen = set()
    for path in sources:
        if path.suffix != ".c" or path.parent.name == "cli":
            continue
        for level, event, rest in LOG_CALL.findall(without_comments(read(path), keep_strings=True)):
            seen.add(event)
            is_bounded = level == "LOG_LEVEL_DEBUG" or "suppressed=" in rest or event in BOUNDED_LINES
            judge(is_bounded, shown(path), f"event={event} has no limit (base/log_limit.h), and BOUNDED_LINES does not say what bounds it")
    for event in sorted(set(BOUNDED_LINES) - seen):
        judge(False, "tests/law/law.py", f"BOUNDED_LINES has event={event}, which nobody logs")


# ---- headers ----

def compile_alone(path):
    command = [os.environ.get("CC", "gcc"), "-std=c11", "-D_GNU_SOURCE", "-Irouter", "-Itests", "-Wall", "-Wextra",
               "-Werror", "-fsyntax-only", "-x", "c", "-include", str(path), "/dev/null"]
    return path, subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def judge_headers(sources):
    headers = [p for p in sources if p.suffix == ".h"]
    for path in headers:
        base = ROUTER if ROUTER in path.parents else ROOT / "tests"
        guard = "SLUICE_" + re.sub(r"\W", "_", str(path.relative_to(base))).upper()
        lines = [line for line in without_comments(read(path)).splitlines() if line.strip()]
        judge(lines[:2] == [f"#ifndef {guard}", f"#define {guard}"] and lines[-1].startswith("#endif"), shown(path),
              f"its guard must be {guard}, around all of it")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, result in pool.map(compile_alone, headers):
            judge(result.returncode == 0, shown(path), "does not compile alone\n" + result.stderr.rstrip())


# ---- what README.md must name ----

def judge_documentation():
    readme = ROOT / "README.md"
    if not readme.exists():
        return
    words = "\n".join(read(page) for page in [readme, *sorted((ROOT / "docs").glob("*.md"))])
    metrics = set()
    for path in ROUTER.glob("*/*.c"):
        metrics |= set(re.findall(r'"(sluice_[a-z0-9_]+)', without_comments(read(path), keep_strings=True)))
    routes = set()
    for path in ROUTER.glob("control/admin*.c"):
        routes |= set(re.findall(r'"(/[a-z][a-z0-9_/-]*)"', without_comments(read(path), keep_strings=True)))
    judge(metrics, "router", "no metric was found: this judge looks for \"sluice_...\"")
    judge(routes, "router/control", "no admin route was found: this judge looks for \"/...\"")
    for name in sorted(metrics | routes):
        # A route with a part that varies ends with a slash here.
        end = "" if name.endswith("/") else r"(?![\w/])"
        judge(re.search(rf"(?<![\w/]){re.escape(name)}{end}", words), "README.md", f"does not name {name}, nor does docs/")


# ---- what is cited is there ----

# A page, and its section where one is named. Written so that it finds pages in sentences, comments, docstrings and links alike.
CITATION = re.compile(r"(?<![\w/.:-])((?:[\w.-]+/)*[\w-]+\.md)\b(?:#([\w-]+))?")


def sections_of(path):
    """The anchors that a page's headings get: lower case, without punctuation, hyphens for blanks."""
    headings = re.findall(r"^#+ +(.*?) *$", read(path), flags=re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def judge_citations():
    """A page is named from the root of the tree, or from the folder of the file that names it."""
    found = 0
    for path in text_files():
        for number, line in enumerate(read(path).splitlines(), 1):
            for page, section in CITATION.findall(line):
                cited = next((base / page for base in (ROOT, path.parent) if (base / page).is_file()), None)
                place = f"{shown(path)}:{number}"
                judge(cited is not None, place, f"cites {page}, which is not in the tree; what is relied on stands in docs/")
                if cited is not None and section:
                    judge(section in sections_of(cited), place, f"cites the section #{section}, which {page} does not have")
                found += 1
            for section in re.findall(r"\]\(#([\w-]+)\)", line) if path.suffix == ".md" else []:
                judge(section in sections_of(path), f"{shown(path)}:{number}", f"links to #{section}, which is no section of this page")
    judge(found, "tests/law/law.py", "no citation was found: this judge looks for names that end in .md")


# ---- llhttp is built strict ----

def judge_llhttp():
    for mode in ("release", "debug", "asan", "tsan"):
        command = ["make", "-n", "-B", f"MODE={mode}", f"BUILD=build/law-{mode}", f"build/law-{mode}/sluice"]
        plan = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        judge(plan.returncode == 0, "Makefile", plan.stderr.rstrip())
        lines = plan.stdout.splitlines()
        compiles = [line for line in lines if " -c " in line and ("llhttp/" in line or "h1_parse" in line)]
        judge(compiles, "Makefile", "no command compiles http/h1_parse.c")
        for line in compiles:
            judge("-DLLHTTP_STRICT_MODE=1" in line, "Makefile", f"llhttp is not strict in: {line}")
    for path in text_files():
        for number, line in enumerate(read(path).splitlines(), 1):
            if path.suffix != ".py" and re.search(r"\b(cc|gcc|clang)\b.*llhttp/\S*\.c\b", line):
                judge("LLHTTP_STRICT_MODE=1" in line, f"{shown(path)}:{number}", "compiles llhttp without strict mode")


# ---- tests mirror the router ----

def judge_mirror():
    """tests/unit/net/test_conn.c is for router/net/conn.c, and so is test_conn_finish.c beside it."""
    for path in sorted((ROOT / "tests/unit").glob("*/*.c")):
        names = {p.stem for p in (ROUTER / path.parent.name).glob("*.[ch]")}
        mirrored = any(path.stem == f"test_{name}" or path.stem.startswith(f"test_{name}_") for name in names)
        judge(mirrored, shown(path), f"tests no file of router/{path.parent.name}/")


def main():
    router = sorted(ROUTER.glob("*/*.[ch]"))
    tests = sorted((ROOT / "tests").glob("unit/*/*.[ch]")) + sorted((ROOT / "tests").glob("fake/*.[ch]"))
    tests += sorted((ROOT / "tests").glob("fuzz/*.[ch]"))
    judge_floors(router)
    judge_circles(router)
    judge_fences(router)
    judge_size(router + tests)
    judge_booleans(router)
    judge_words(router + tests)
    judge_calls(router)
    judge_headers(router + [p for p in tests if p.suffix == ".h"])
    judge_documentation()
    judge_citations()
    judge_llhttp()
    judge_mirror()
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
