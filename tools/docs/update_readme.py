"""Write the tables of README.md and docs from the results in docs/results.

Each table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``.
``--check`` changes nothing and fails when a table is out of date.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import json
import re
import sys
from pathlib import Path
from typing import Any, Dict

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.experiments.result_tables import TABLES

MARKED = re.compile(r'(<!-- table: (\w+) -->\n).*?(<!-- end -->)', re.DOTALL)
DOCUMENTS = ('README.md', 'projects/README.md', 'docs/results/board.md',
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
        content = read_results(results / file) if file else {}
        return match.group(1) + table(content) + match.group(3)

    return MARKED.sub(replace, text)


def read_results(path: Path) -> Dict[str, Any]:
    """Content of a result file, named without its ending, or of a folder.

    Those of a folder's files are by their names, in folders inside it too.
    Raises FileNotFoundError when there is neither.
    """
    file = path.with_suffix('.json')
    if file.is_file() or not path.is_dir():
        return json.loads(file.read_text())
    return {
        entry.stem: read_results(entry.with_suffix(''))
        for entry in sorted(path.iterdir())
    }


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
