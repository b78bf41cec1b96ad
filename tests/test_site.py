"""The documentation site is built from what is in the repository."""
import html
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools.docs import site_links

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r'\]\((?!http)([^)#\s]*)#?([^)\s]*)\)')


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
    for page in ROOT.glob('docs/**/*.md'):
        name = page.relative_to(ROOT / 'docs').with_suffix('.html').as_posix()
        assert f'href="{name}"' in index or page.stem == 'index'


@pytest.mark.parametrize('page, names', [
    ('api', ['Predictor', 'SceneOptions', 'pretrain', 'finetune', 'save_html'
             ]),
    ('api/models', [
        'PointTokenBackbone', 'SAMTokenizer', 'ThreeDETR', 'VDETRHead',
        'PointTokenSegmentor', 'PointTokenSegHead'
    ]),
    ('api/pretraining', [
        'MaskedPointPretrainer', 'MaskedTokenDecoder', 'PointProjector',
        'InfoNCELoss', 'CollapseAlarmHook'
    ]),
    ('api/data', ['RGBDFrameDataset', 'Store', 'PresentClassIndoorMetric']),
    ('api/ops', ['furthest_point_sample']),
])
def test_docstrings_are_on_the_pages_of_the_api(site, page, names):
    text = (site / f'{page}.html').read_text()
    for name in names:
        assert f'.{name}"' in text, name
    assert ':func:' not in text and ':class:' not in text


def test_roles_of_docstrings_are_names(site):
    assert '<code>place_scan</code>' in (site / 'api.html').read_text()


def test_no_markup_is_left_in_the_pages(site):
    """As of tables with an empty line, and commands that are no block."""
    left = re.compile(r'^\|.*\|$|^python tools/|\\$|\]\(|^from .* import ',
                      re.MULTILINE)
    for page in site.rglob('*.html'):
        for text in re.findall('<p>(.*?)</p>', page.read_text(), re.DOTALL):
            text = re.sub('<code>.*?</code>', '', text, flags=re.DOTALL)
            text = html.unescape(re.sub('<[^>]*>', '', text))
            assert not left.search(text), (page, text)


def test_nothing_is_loaded_from_a_network(site):
    for page in site.rglob('*.html'):
        text = page.read_text()
        for tag in ('<script src="http', '<link rel="stylesheet" href="http',
                    '<img src="http'):
            assert tag not in text, page


@pytest.mark.parametrize(
    'pattern', ['*.md', '.github/*.md', 'projects/**/*.md', 'docs/**/*.md'])
def test_links_of_the_repository_lead_somewhere(site, pattern):
    pages = list(ROOT.glob(pattern))
    assert pages
    for page in pages:
        text = re.sub('^ {4}.*$', '', page.read_text(), flags=re.MULTILINE)
        for path, anchor in LINK.findall(text):
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), (page, path)
            if anchor and target.is_relative_to(ROOT / 'docs'):
                built = site / target.relative_to(ROOT / 'docs')
                text = built.with_suffix('.html').read_text()
                assert f'id="{anchor}"' in text, (page, path, anchor)


@pytest.mark.parametrize('name, text, expected', [
    ('zoo.md', '[Point-MAE](../projects/point_mae)', 'Point-MAE'),
    ('zoo.md', '[here](results/log.md)', '[here](results/log.md)'),
    ('results/board.md', '[Data](../data.md)', '[Data](../data.md)'),
    ('results/board.md', '[MAE](../../projects/a)', 'MAE'),
])
def test_links_out_of_the_site_become_words(name, text, expected):
    page = SimpleNamespace(file=SimpleNamespace(src_uri=name))
    assert site_links.on_page_markdown(text, page=page) == expected
