"""Medians, the Markdown report, and the judgement of the targets."""

import platform
from dataclasses import dataclass, field
from statistics import median

import nodes

MEBIBYTE = 1024 * 1024
NOISY_SHARE = 0.05      # of the measured core's time, gone to others
TITLES = {"sluice": "Sluice", "haproxy": "HAProxy", "nghttpx": "nghttpx", "nginx": "nginx",
          "relay": "TCP relay (parses nothing)"}


@dataclass
class Result:
    """All about one proxy under one workload."""

    rounds: list = field(default_factory=list)
    calls: dict = field(default_factory=dict)   # per unit; None is the total; empty: not counted
    rss_bytes: int = 0

    def of(self, attribute):
        return median(getattr(entry, attribute) for entry in self.rounds)

    def against(self, rival):
        """Median ratio to a rival, round by round: only neighbours in time ran on a machine of the same speed."""
        return median(ours.total_us / theirs.total_us for ours, theirs in zip(self.rounds, rival.rounds))

    @property
    def units_per_second(self):
        return median(entry.units / entry.seconds for entry in self.rounds)

    @property
    def spread(self):
        """From the cheapest round to the dearest, as a share of the median."""
        totals = [entry.total_us for entry in self.rounds]
        return (max(totals) - min(totals)) / median(totals)


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def better_rival(results, workload, name):
    """The rival against which a proxy looks worst, and the ratio to it; None when no rival was measured."""
    ratios = [(results[name, workload.name].against(results[rival, workload.name]), rival)
              for rival in workload.rivals if rival != name and (rival, workload.name) in results]
    return max(ratios) if ratios else None


def number(value):
    """Three digits that mean something, whatever the size."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def row(results, workload, name):
    result = results[name, workload.name]
    scale = workload.scale[1]
    total, user, system = (result.of(key) / scale for key in ("total_us", "user_us", "system_us"))
    cells = [TITLES[name], f"{number(total)} ({number(user)} / {number(system)})", f"{result.spread:.0%}"]
    cells += [f"{result.against(results[rival, workload.name]):.2f}" if (rival, workload.name) in results else "-"
              for rival in workload.rivals]
    cells += [number(1e6 / result.of("total_us")), number(result.units_per_second), f"{result.of('busy'):.0%}",
              number(result.calls[None]) if result.calls else "n/a", f"{result.rss_bytes / MEBIBYTE:.1f}"]
    return "| " + " | ".join(cells) + " |"


def call_list(result, count=6):
    named = [item for item in result.calls.items() if item[0] is not None]
    shown = sorted(named, key=lambda item: -item[1])[:count]
    shown.append(("others", result.calls[None] - sum(share for _, share in shown)))
    return ", ".join(f"{name} {number(share)}" for name, share in shown if share >= 0.005)


def workload_section(results, workload, names, run):
    """The table of one workload. names: the proxies that were measured under it."""
    unit = workload.unit
    headers = ["proxy", f"CPU {workload.scale[0]}/{unit} (user / system)", "spread"]
    headers += [f"vs {TITLES[rival]}" for rival in workload.rivals]
    headers += [f"{unit}s/CPU s" if unit != "GiB" else "GiB/CPU s", f"{unit}s/s" if unit != "GiB" else "GiB/s",
                "core busy", f"system calls/{unit}", "RSS MiB"]
    lines = [f"### {workload.name}: {workload.title}", "", f"Load: {workload.load.says}.", "",
             "| " + " | ".join(headers) + " |", "|---|" + "--:|" * (len(headers) - 1)]
    lines += [row(results, workload, name) for name in names]
    better = better_rival(results, workload, "sluice") if "sluice" in names else None
    if better and workload.goal is not None:
        lines += ["", f"Sluice takes **{better[0]:.2f}** of what the better of its rivals takes ({TITLES[better[1]]}); "
                      f"the target is {workload.goal:.2f} at most."]
    if workload.name in run["direct"]:
        lines += ["", run["direct"][workload.name]]
    if run["counter"]:
        lines += ["", f"System calls per {unit} ({run['counter']}):", ""]
        lines += [f"- {TITLES[name]}: {call_list(results[name, workload.name])}" for name in names]
    if workload.name in run["profiles"]:
        lines += ["", "```", *run["profiles"][workload.name], "```"]
    return lines + [""]


def memory_section(rows):
    lines = ["### memory: ten thousand writes in flight, each held for one second by one of two nodes (HTTP/2)", "",
             "| proxy | workers | clients | RSS idle MiB | RSS loaded MiB | KiB/exchange | connections to both nodes |",
             "|---|--:|---|--:|--:|--:|--:|"]
    for entry in rows:
        cells = [TITLES[entry.proxy], str(entry.workers), entry.shape]
        if entry.loaded_bytes:
            cells += [f"{entry.idle_bytes / MEBIBYTE:.1f}", f"{entry.loaded_bytes / MEBIBYTE:.1f}",
                      f"{entry.bytes_per_exchange / 1024:.1f}", str(entry.connections)]
        else:
            cells += ["n/a"] * 4
        lines.append("| " + " | ".join(cells) + " |")
    problems = [f"- {TITLES[entry.proxy]}, {entry.workers} workers, {entry.shape}: {entry.problem.splitlines()[0]}"
                for entry in rows if entry.problem]
    return lines + ([""] + problems if problems else []) + [""]


def nodes_section(costs):
    """costs: nodes.NodeCosts."""
    lines = [f"### nodes: Sluice in front of {nodes.MANY:,} nodes and of {nodes.FEW}", "",
             f"Load: h2load, one connection of HTTP/1.1, {nodes.COUNTED:,} requests one after the other, when a round of "
             f"{nodes.WARM_UP:,} has opened no link any more. Instructions: callgrind, user space, all threads. "
             f"System calls: {costs.counter}. Judged without what as long a time without requests costs.", "",
             f"| what | {nodes.FEW} nodes | {nodes.MANY:,} nodes | ratio | at most |", "|---|--:|--:|--:|--:|"]
    for name in nodes.REQUESTS:
        few, many = (costs.requests[name, count] for count in (nodes.FEW, nodes.MANY))
        for what, title in nodes.COUNTS.items():
            if not getattr(many, what):
                continue
            lines.append(f"| {title}/{name} | {few.net(what):,.2f} | {many.net(what):,.2f} | "
                         f"{costs.ratio(name, what):.3f} | {nodes.RATIO_MAXIMUM} |")
            counted = [getattr(cost, what) for cost in (few, many)]
            lines.append(f"| the same, with what the time costs | {counted[0]:,.2f} | {counted[1]:,.2f} | "
                         f"{counted[1] / counted[0]:.3f} | - |")
    for what, values, pattern, limit in (
            ("start of the program to both listeners, s", costs.listening_seconds, "{:.3f}",
             f"{nodes.START_MAXIMUM_SECONDS} s"),
            ("start of the program to the last node found up, s", costs.probed_seconds, "{:.3f}", "-"),
            (f"probes every 2 s, share of a core over {costs.probed_for_seconds} s", costs.probing_share, "{:.2%}",
             f"{nodes.PROBES_MAXIMUM:.0%}")):
        few, many = (pattern.format(values[count]) for count in (nodes.FEW, nodes.MANY))
        lines.append(f"| {what} | {few} | {many} | - | {limit} |")
    return lines + [""]


def render(results, workloads, measured, rows, run):
    """measured: workload name -> proxies. run: what else the report says, as a dict of texts and numbers; see run.py."""
    lines = [
        f"Machine: {cpu_model()}, {run['cores']} cores, Linux {platform.release()}.",
        f"Versions: {'; '.join(run['versions'])}.",
        f"{run['placement']}. Medians of {run['rounds']} interleaved rounds of {run['seconds']} s; "
        "a ratio is the median of the ratios within each round.",
        "",
    ]
    for workload in workloads:
        if measured[workload.name]:
            lines += workload_section(results, workload, measured[workload.name], run)
    if rows:
        lines += memory_section(rows)
    if run["nodes"]:
        lines += nodes_section(run["nodes"])
    for reason in run["skipped"]:
        lines += [f"Not measured: {reason}", ""]
    if not run["counter"]:
        lines += [f"System calls were not counted: {run['counter_reason']}", ""]
    noise = max((median(entry.others for entry in result.rounds) for result in results.values()), default=0)
    if noise > NOISY_SHARE:
        lines += [f"Take the figures with care: up to {noise:.0%} of the measured core's time went to other processes "
                  "or was stolen by the hypervisor.", ""]
    return "\n".join(lines)


def missed_targets(results, workloads, skipped):
    """Each missed target of Sluice as one sentence. What could not be measured is missed."""
    missed = list(skipped)
    for workload in workloads:
        if ("sluice", workload.name) not in results:
            continue
        sluice = results["sluice", workload.name]
        if workload.calls_maximum is not None:
            if not sluice.calls:
                missed.append(f"{workload.name}: the system calls of Sluice could not be counted")
            elif sluice.calls[None] > workload.calls_maximum:
                missed.append(f"{workload.name}: Sluice makes {sluice.calls[None]:.2f} system calls per {workload.unit}, "
                              f"at most {workload.calls_maximum:.0f} are allowed ({call_list(sluice)})")
        better = better_rival(results, workload, "sluice")
        if workload.goal is not None and better and better[0] > workload.goal:
            missed.append(f"{workload.name}: Sluice takes {better[0]:.2f} times the CPU time of {TITLES[better[1]]} per "
                          f"{workload.unit}, at most {workload.goal:.2f} is the target")
    return missed
