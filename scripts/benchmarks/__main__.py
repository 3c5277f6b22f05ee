"""Run the benchmarks named on the command line, or all of them, and print one table."""

import sys

import backends
import broker
import ceph
import coldstart
import coldstart_report
import http_overhead
import upload_to_result
from table import Row, print_table

BENCHMARKS = {
    "http": http_overhead.run,
    "events": upload_to_result.run,
    "backends": backends.run,
    "broker": broker.run,
    "ceph": ceph.run,
    "coldstart": coldstart.run,
}


def main() -> None:
    """Run what was asked for; the exit status is 1 when a target is missed."""
    writing = "--write" in sys.argv
    wanted = [name for name in sys.argv[1:] if name != "--write"] or list(BENCHMARKS)
    if unknown := [name for name in wanted if name not in BENCHMARKS]:
        sys.exit(f"bench: no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    rows: list[Row] = []
    for name in wanted:
        print(f"{name} …", file=sys.stderr, flush=True)
        rows.extend(BENCHMARKS[name]())
    print_table(rows)
    if writing and coldstart.MEASURED.cases:
        coldstart_report.write(coldstart.MEASURED)
    sys.exit(any(row.met is False for row in rows))


if __name__ == "__main__":
    main()
