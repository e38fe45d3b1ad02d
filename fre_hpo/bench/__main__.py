"""``python -m fre_hpo.bench``: the benchmarks where nothing but torch, NumPy and Pillow is installed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from fre_hpo.bench.report import Report, heading, plain, remarks, tables
from fre_hpo.bench.request import ALL, NAMES, Request
from fre_hpo.bench.shapes import SHAPES
from fre_hpo.bench.suite import run
from fre_hpo.errors import EXIT_DONE, EXIT_ERROR, FreHpoError


def main() -> int:
    """Measure what was asked for and print it; 1 when a fast path is slower than it may be."""
    given = _arguments()
    request = Request(
        given.part,
        given.tiny,
        given.device,
        given.shape,
        given.compile,
        given.seconds,
        given.storage,
    )
    try:
        report = run(request, lambda sentence: print(sentence, file=sys.stderr, flush=True))
    except FreHpoError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    text = json.dumps(report.to_json(), indent=2)
    if given.output:
        given.output.write_text(text + "\n", encoding="utf-8")
    print(text if given.format == "json" else _text(report))
    for failure in report.failures:
        print(f"Error: {failure}", file=sys.stderr)
    return EXIT_ERROR if report.failures else EXIT_DONE


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m fre_hpo.bench",
        description="Measure the engine against what a user would write instead.",
    )
    parser.add_argument("part", nargs="?", choices=NAMES, default=ALL)
    parser.add_argument("--tiny", action="store_true", help="check that all works, in minutes")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction)
    parser.add_argument("--seconds", type=float, help="how long each comparison is timed")
    parser.add_argument("--storage", help="database URL for search-overhead, ask, scaling")
    parser.add_argument("-f", "--format", choices=["table", "json"], default="table")
    parser.add_argument("-o", "--output", type=Path, help="write the report as JSON")
    return parser.parse_args()


def _text(report: Report) -> str:
    lines = [heading(report)]
    for part in report.parts:
        lines += ["", f"{part.name}: {part.about}"]
        for table in tables(part):
            lines += ["", plain(table.columns, table.rows)]
        lines += ["", *remarks(part)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
