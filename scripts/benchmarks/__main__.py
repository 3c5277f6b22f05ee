"""Run the benchmarks named on the command line, or all of them, and print one table."""

import sys
from pathlib import Path

import broker
import ceph
import coldstart
import coldstart_report
import cpus
import http_overhead
import image_quality
import images
import models
import models_report
import upload_to_result
from report import circumstances, judged, write_section
from table import Row, print_table

BENCHMARKS = {
    "http": http_overhead.run,
    "events": upload_to_result.run,
    "models": models.run,
    "images": images.run,
    "quality": image_quality.run,
    "cpus": cpus.run,
    "broker": broker.run,
    "ceph": ceph.run,
    "coldstart": coldstart.run,
}
# Where the rows of these are written as they are.
PAGES = {
    "images": Path("docs/images.md"),
    "quality": Path("docs/images.md"),
    "cpus": Path("docs/performance.md"),
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
        found = BENCHMARKS[name]()
        rows.extend(found)
        if writing and name in PAGES:
            write_section(PAGES[name], name, f"{circumstances(name)}\n\n{judged(found)}")
    print_table(rows)
    if writing and coldstart.MEASURED.cases:
        coldstart_report.write(coldstart.MEASURED)
    if writing and models.MEASURED.cases:
        models_report.write(models.MEASURED)
    sys.exit(any(row.met is False for row in rows))


if __name__ == "__main__":
    main()
