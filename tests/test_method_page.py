"""Code cites sections of docs/method.md that exist."""
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
CITATION = re.compile(r'docs/method\.md,\s+"([^"]+)"')
FOLDERS = ('sam3d_plugin', 'tools', 'projects', 'configs')


def citations():
    """File and section of every citation."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob('*.py')):
            text = re.sub(r'\n\s*#?\s*', ' ', path.read_text())
            for section in CITATION.findall(text):
                yield path.relative_to(ROOT), section


def sections():
    """Headings of the page."""
    page = (ROOT / 'docs/method.md').read_text()
    return [
        line.lstrip('# ') for line in page.splitlines()
        if line.startswith('##')
    ]


def test_cited_sections_exist():
    known, cited = sections(), list(citations())
    assert len(cited) > 8
    missing = [
        f'{path}: {section}' for path, section in cited
        if not any(heading.startswith(section) for heading in known)
    ]
    assert not missing


def test_no_other_specification_is_cited():
    """Pages beside the repository are not there for its readers."""
    word = re.compile(r'\b(DESIGN|FACTS|RECIPES|STYLE)(\.md)? (section )?\d')
    found = [
        path for folder in (*FOLDERS, 'docs')
        for path in sorted((ROOT / folder).rglob('*'))
        if path.suffix in ('.py', '.md') and word.search(path.read_text())
    ]
    assert not found
