"""Docstrings and messages are written in plain American English."""
import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ('projects', 'sam3d_plugin', 'tools')
PAGES = ('README.md', *(str(page.relative_to(ROOT))
                        for pattern in ('docs/*.md', 'docs/notebooks/*.ipynb')
                        for page in sorted(ROOT.glob(pattern))))
# A pattern, and what to write in its place.
WORDS = {
    r'(?<!there )\b(is|are|was|were) no (?!longer|more )\w':
    'is not a, has no',
    r'\bmend(s|ed|ing)?\b':
    'fix',
    r'\b(goes|go|went) on (with|where|when|later)\b':
    'resume, continue',
    r'\bshall\b':
    'must',
    r'\bfrom [0-9] on\b':
    '>= 0',
    r'\b(have|has) too much\b':
    'extra',
    r'\b(nobody|somebody)\b':
    'the passive, or who it is',
    r'\b[Aa]xis legend\b':
    'Shapes:',
    r'\bnot looked at\b':
    'unused',
    r'\bwhole (already|numbers?)\b':
    'finished, integer',
    r'\b(is|are) whole\b':
    'complete',
    r'\bmade of other\b':
    'computed from different',
    r'\blies?\b':
    'is, are',
    r'([Cc]olour|[Nn]eighbour|\b[Cc]entred?\b|[Mm]etres?\b|\b[Gg]rey\b)':
    'color, neighbor, center, meter, gray',
}
# What is data, not prose.
FIXED = ('axis-aligned, metres, z up', )


def texts_of(path):
    """Docstrings and strings of several words of a module, with lines."""
    if path.suffix == '.ipynb':
        for i, cell in enumerate(json.loads(path.read_text())['cells']):
            yield i, ''.join(cell['source'])
        return
    if path.suffix == '.md':
        page = re.sub(
            r'<!-- table:.*?<!-- end -->',
            '',
            path.read_text(),
            flags=re.DOTALL)
        yield from enumerate(page.split('\n\n'), start=1)
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = [
                part for part in node.values if isinstance(part, ast.Constant)
            ]
            yield node.lineno, 'X'.join(part.value for part in parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if ' ' in node.value:
                yield node.lineno, node.value


def stumbles_in(path):
    """Place, words, and what to write instead."""
    for line, text in texts_of(path):
        text = ' '.join(text.split())
        for fixed in FIXED:
            text = text.replace(fixed, '')
        for pattern, better in WORDS.items():
            for found in re.finditer(pattern, text):
                start = max(found.start() - 20, 0)
                yield (f'{path}:{line}: '
                       f'"{text[start:found.end() + 10]}" (write: {better})')


@pytest.mark.parametrize('folder', [*FOLDERS, *PAGES])
def test_words_are_plain(folder):
    path = ROOT / folder
    files = [path] if path.is_file() else sorted(path.rglob('*.py'))
    assert files
    found = [line for file in files for line in stumbles_in(file)]
    assert not found, '\n'.join(found)


@pytest.mark.parametrize('text', [
    'x is no whole image', 'the command that mends it', 'It goes on later.',
    'ids from 0 on', 'Axis legend: N points', 'where the colour lies'
])
def test_the_words_are_found(tmp_path, text):
    path = tmp_path / 'module.py'
    path.write_text(f'"""{text}"""\n')
    assert list(stumbles_in(path))


@pytest.mark.parametrize('text', [
    'there is no whole scan', 'x is not a readable image',
    'the error is no longer there', 'Shapes: N points'
])
def test_plain_words_pass(tmp_path, text):
    path = tmp_path / 'module.py'
    path.write_text(f'"""{text}"""\n')
    assert not list(stumbles_in(path))
