"""`fairdarts report`: one self-contained HTML page of one or several runs, whatever made them."""

from collections.abc import Sequence
from pathlib import Path

from fairdarts.cli.words import Parser


def main(argv: Sequence[str]) -> int:
    parser = Parser(
        "report", "Write one HTML page of runs, to be opened from disk: their figures, drawings and numbers."
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="a run directory, or a folder of them or of a study"
    )
    parser.add_argument("--out", type=Path, help="the page (default: report.html in the first RUN)")
    args = parser.parse_args(argv)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.cli.study_show import show
    from fairdarts.runs.report import report
    from fairdarts.runs.study.form import STUDY
    from fairdarts.runs.study.results import conclude

    if len(args.runs) == 1 and (args.runs[0] / STUDY).is_file():
        concluded = conclude(args.runs[0], args.out)
        if concluded.page:  # none of a study without a benchmark
            show(concluded)
            return 0
    print(report(args.runs, args.out))
    return 0
