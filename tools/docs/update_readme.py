"""Write the tables of README.md and docs from the results in docs/results.

Each table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``.
``--check`` changes nothing and fails when a table is out of date.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.experiments.result_tables import TABLES

MARKED = re.compile(r'(<!-- table: (\w+) -->\n).*?(<!-- end -->)', re.DOTALL)
DOCUMENTS = ('README.md', 'projects/README.md',
             *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob('docs/*.md')))


def fill(text: str, results: Path) -> str:
    """The text with every marked table written anew from result files.

    Raises KeyError when a table's name is unknown.
    Raises FileNotFoundError when its result file is missing.
    """

    def replace(match: 're.Match') -> str:
        name = match.group(2)
        if name not in TABLES:
            raise KeyError(f'unknown table {name}; there are '
                           f'{", ".join(TABLES)}')
        file, table = TABLES[name]
        content = json.loads(
            (results / f'{file}.json').read_text()) if file else {}
        return match.group(1) + table(content) + match.group(3)

    return MARKED.sub(replace, text)


def main() -> int:
    """Fill or check the documents; 1 when a checked one is out of date."""
    parser = ToolParser(__doc__)
    parser.add_argument('--check', action='store_true')
    args = parser.parse_args()
    status = 0
    for name in DOCUMENTS:
        path = ROOT / name
        old = path.read_text()
        new = fill(old, ROOT / 'docs' / 'results')
        if args.check and new != old:
            print(f'{name} is out of date: run '
                  'python tools/docs/update_readme.py')
            status = 1
        elif new != old:
            path.write_text(new)
    return status


if __name__ == '__main__':
    sys.exit(main())
