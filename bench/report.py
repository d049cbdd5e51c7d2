"""Medians, the Markdown report, and the judgement of the targets."""

import platform
from dataclasses import dataclass, field
from statistics import median

MEBIBYTE = 1024 * 1024
CALLS_MAXIMUM = 5.0     # of Sluice, per small exchange on warm connections
NOISY_SHARE = 0.05      # of the measured core's time, gone to others
TITLES = {"sluice": "Sluice", "haproxy": "HAProxy", "nginx": "nginx", "relay": "TCP relay (parses nothing)"}


@dataclass
class Result:
    """All about one proxy under one workload."""

    rounds: list = field(default_factory=list)
    calls: dict = field(default_factory=dict)   # per request; None is the total; empty: not counted
    rss_bytes: int = 0

    def of(self, attribute):
        return median(getattr(entry, attribute) for entry in self.rounds)

    def against(self, rival):
        """Median ratio to a rival, round by round: only neighbours in time ran on a machine of the same speed."""
        return median(ours.total_us / theirs.total_us for ours, theirs in zip(self.rounds, rival.rounds))

    @property
    def requests_per_second(self):
        return median(entry.requests / entry.seconds for entry in self.rounds)

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


def ratio(results, proxy, workload, rival):
    if (rival, workload) not in results:
        return "-"
    return f"{results[proxy, workload].against(results[rival, workload]):.2f}"


def row(results, proxy, workload):
    result = results[proxy, workload]
    user, system = result.of("user_us"), result.of("system_us")
    calls = f"{result.calls[None]:.2f}" if result.calls else "n/a"
    return (f"| {TITLES[proxy]} | {workload} | {result.of('total_us'):.1f} ({user:.1f} / {system:.1f}) "
            f"| {result.spread:.0%} | {ratio(results, proxy, workload, 'haproxy')} "
            f"| {ratio(results, proxy, workload, 'nginx')} | {result.requests_per_second:,.0f} "
            f"| {result.of('busy'):.0%} | {calls} | {result.rss_bytes / MEBIBYTE:.1f} |")


def call_list(result, count=6):
    named = [item for item in result.calls.items() if item[0] is not None]
    shown = sorted(named, key=lambda item: -item[1])[:count]
    shown.append(("others", result.calls[None] - sum(share for _, share in shown)))
    return ", ".join(f"{name} {share:.2f}" for name, share in shown if share >= 0.005)


def render(results, proxies, workloads, run):
    """run: what else the report says, as a dict of texts and numbers; see run.py."""
    lines = [
        f"Machine: {cpu_model()}, {run['cores']} cores, Linux {platform.release()}.",
        f"Versions: {'; '.join(run['versions'])}.",
        f"Load: {run['load']}. Medians of {run['rounds']} interleaved rounds of {run['seconds']} s; "
        "a ratio is the median of the ratios within each round.",
        "",
        "| proxy | workload | CPU us/request (user / system) | spread | vs HAProxy | vs nginx | requests/s | core busy "
        "| system calls/request | RSS MiB |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for workload in workloads:
        lines += [row(results, proxy, workload) for proxy in proxies]
    lines += ["", run["direct"]]
    if run["counter"]:
        lines += ["", f"Most frequent system calls per request ({run['counter']}):", ""]
        lines += [f"- {TITLES[proxy]}, {workload}: {call_list(results[proxy, workload])}"
                  for workload in workloads for proxy in proxies]
    else:
        lines += ["", f"System calls were not counted: {run['counter_reason']}"]
    noise = max(median(entry.others for entry in result.rounds) for result in results.values())
    if noise > NOISY_SHARE:
        lines += ["", f"Take the figures with care: up to {noise:.0%} of the measured core's time went to other "
                      "processes or was stolen by the hypervisor."]
    return "\n".join(lines) + "\n"


def missed_targets(results, workloads):
    """Each missed target of Sluice as one sentence."""
    missed = []
    for workload in workloads:
        sluice, haproxy = results["sluice", workload], results["haproxy", workload]
        if not sluice.calls:
            missed.append(f"{workload}: the system calls of Sluice could not be counted")
        elif sluice.calls[None] > CALLS_MAXIMUM:
            missed.append(f"{workload}: Sluice makes {sluice.calls[None]:.2f} system calls per request, at most "
                          f"{CALLS_MAXIMUM:.0f} are allowed ({call_list(sluice)})")
        if sluice.against(haproxy) > 1:
            missed.append(f"{workload}: Sluice takes {sluice.against(haproxy):.2f} times HAProxy's CPU time per "
                          f"request ({sluice.of('total_us'):.1f} us and {haproxy.of('total_us'):.1f} us)")
    return missed
