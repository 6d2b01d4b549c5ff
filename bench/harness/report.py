"""The table of bench/translator. A speed is the reference's median time divided by the machine's: above 1 is faster."""
import statistics

NATIVE, REFERENCE = "native", "qemu"
BOOT_ROWS = (("boot_cold_seconds", "boot, cold, s", 1, 2), ("boot_cold_cpu_seconds", "boot, cold, s of CPU time", 1, 2),
             ("boot_warm_seconds", "boot, warm, s", 1, 2), ("boot_warm_cpu_seconds", "boot, warm, s of CPU time", 1, 2),
             ("resident_above_ram_bytes", "resident above RAM, MiB", 1 / (1 << 20), 0))
BUSY, STOLEN = 0.5, 0.02  # other work on the host, in processors and in the share of time, that is worth a warning


def ratio(row, clock, reference, machine):
    """How many times faster `machine` is than `reference`, or None."""
    times = row[clock]
    if reference not in times or machine not in times or not times[machine]["median"]:
        return None
    return times[reference]["median"] / times[machine]["median"]


def geometric_mean(values):
    known = [value for value in values if value]
    return statistics.geometric_mean(known) if known else None


def means(workloads, machines):
    """{class or "all": {"speed": {machine: ...}, "cpu_speed": ..., "slowdown": ...}}; None where it was not measured."""
    classes = list(dict.fromkeys(row["class"] for row in workloads.values()))
    result = {}
    for one in [*classes, "all"]:
        rows = [row for row in workloads.values() if one in (row["class"], "all")]

        def mean(clock, reference, invert=False):
            all_means = {machine: geometric_mean([ratio(row, clock, reference, machine) for row in rows]) for machine in machines}
            return {machine: 1 / value if invert and value else value for machine, value in all_means.items()}

        result[one] = {"speed": mean("seconds", REFERENCE), "cpu_speed": mean("cpu_seconds", REFERENCE),
                       "slowdown": mean("seconds", NATIVE, invert=True)}
    return result


def cell(one, scale=1, digits=2):
    if not one:
        return "-"
    median, least, most = (f"{one[value] * scale:.{digits}f}" for value in ("median", "min", "max"))
    return f"{median} ({least}-{most})" if one["runs"] > 1 else median


def figure(value, digits=2):
    return f"{value:.{digits}f}" if value else "-"


class Table:
    """A column of times for the host and each machine; then for each engine of doppel its speed against QEMU, by the clock and by
    CPU time; then for each machine how much slower than the host it is."""

    def __init__(self, machines):
        self.machines = machines
        self.engines = [machine for machine in machines if machine != REFERENCE] if REFERENCE in machines else []

    def line(self, label, cells, speeds=(), slowdowns=()):
        print((f"{label:26}" + "".join(f"{text:>20}" for text in cells) + "".join(f"{text:>11}" for text in speeds) +
               "".join(f"{text:>10}" for text in slowdowns)).rstrip())

    def head(self):
        self.line("", ["", *[""] * len(self.machines)], [f"{engine[:9]}/" for engine in self.engines for _ in range(2)],
                  [f"{machine[:9]}" for machine in self.machines])
        self.line("seconds", [NATIVE, *self.machines], ["qemu", "qemu, CPU"] * len(self.engines),
                  ["slowdown"] * len(self.machines))

    def workload(self, name, row):
        speeds = [figure(ratio(row, clock, REFERENCE, engine)) for engine in self.engines for clock in ("seconds", "cpu_seconds")]
        slowdowns = [figure(ratio(row, "seconds", machine, NATIVE), 1) for machine in self.machines]
        self.line(f"  {name}", [cell(row["seconds"].get(one)) for one in (NATIVE, *self.machines)], speeds, slowdowns)

    def mean(self, label, values):
        self.line(label, [""] * (1 + len(self.machines)),
                  [figure(values[kind].get(engine)) for engine in self.engines for kind in ("speed", "cpu_speed")],
                  [figure(values["slowdown"].get(machine), 1) for machine in self.machines])


def print_table(results, machines, remarks):
    table = Table(machines)
    if results["workloads"]:
        table.head()
    for one, values in results["summary"].items():
        if one == "all":
            continue
        for name, row in results["workloads"].items():
            if row["class"] == one:
                table.workload(name, row)
        table.mean(f"{one}, mean", values)
    if results["workloads"]:
        table.mean("all, geometric mean", results["summary"]["all"])
    for key, label, scale, digits in BOOT_ROWS:
        if key in results:
            table.line(label, ["", *[cell(results[key].get(machine), scale, digits) for machine in machines]])
    print_remarks(results, remarks)


def print_remarks(results, remarks):
    differ = [f"{package} {one['guest']} and {one['host']}" for package, one in sorted(results["versions"].items())
              if one["host"] and one["guest"] != one["host"]]
    if differ:
        print(f"versions that differ, guest and host: {'; '.join(differ)}")
    for remark in remarks:
        print(f"note: {remark}")
    if results["load"] > BUSY or results["stolen"] > STOLEN:
        print(f"warning: the host is busy: load {results['load']:.1f} at the start, {results['stolen']:.0%} of the time stolen: "
              "look at the spread, and at CPU time")
