"""The documentation site is built from what is in the repository."""
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools.docs import site_links

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """The pages; a warning, such as of a dead link, is an error."""
    folder = tmp_path_factory.mktemp('site')
    done = subprocess.run([
        sys.executable, '-m', 'mkdocs', 'build', '--strict', '--quiet', '-f',
        str(ROOT / '.mkdocs.yml'), '-d',
        str(folder)
    ],
                          cwd=ROOT,
                          capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_in_the_navigation(site):
    index = (site / 'index.html').read_text()
    for page in ROOT.glob('docs/*.md'):
        assert f'href="{page.stem}.html"' in index or page.stem == 'index'


def test_docstrings_are_on_the_page_of_the_api(site):
    text = (site / 'api.html').read_text()
    for name in ('Predictor', 'PointTokenBackbone', 'MaskedPointPretrainer',
                 'InfoNCELoss', 'furthest_point_sample'):
        assert f'.{name}"' in text, name


def test_roles_of_docstrings_are_names(site):
    text = (site / 'api.html').read_text()
    assert ':func:' not in text and ':class:' not in text
    assert '<code>place_scan</code>' in text


def test_nothing_is_loaded_from_a_network(site):
    for page in site.glob('*.html'):
        text = page.read_text()
        for tag in ('<script src="http', '<link rel="stylesheet" href="http',
                    '<img src="http'):
            assert tag not in text, page


@pytest.mark.parametrize('name, text, expected', [
    ('zoo.md', '[Point-MAE](../projects/point_mae)', 'Point-MAE'),
    ('zoo.md', '[here](results/log.md)', '[here](results/log.md)'),
    ('results/board.md', '[Data](../data.md)', '[Data](../data.md)'),
    ('results/board.md', '[MAE](../../projects/a)', 'MAE'),
])
def test_links_out_of_the_site_become_words(name, text, expected):
    page = SimpleNamespace(file=SimpleNamespace(src_uri=name))
    assert site_links.on_page_markdown(text, page=page) == expected
