"""The notebooks of the documentation run from their first to their last cell.

Each in a process of its own, on rooms so small and trainings so short that
the results mean nothing.
"""
import json
import os
import re
import sys
from pathlib import Path

import pytest

from tests import processes

FOLDER = Path(__file__).resolve().parents[1] / 'docs' / 'notebooks'
NOTEBOOKS = sorted(FOLDER.glob('*.ipynb'))
# In place of the values of the parameters.
SHORT = dict(
    ROOMS=(1, 1), FRAMES=2, IMAGE_SIZE=(96, 128), STEPS=2, SCORE=0., SHARE=10)
# What a notebook prints at its end, and the page that it writes.
RESULTS = dict(
    few_labels=(r'fresh +mIoU \d+\.\d%\npre-trained +mIoU \d+\.\d%',
                'predictions/scene5000_00.html'),
    find_objects=(r'\n[1-9]\d* objects\n(.*\n)+.*room\.json',
                  'predictions/room.html'),
    pretrain_frames=(r'layout scannet\n(.*\n)*.*iter_2\.pth', 'features.html'))


def cells_of(notebook):
    """Metadata and source of the code cells."""
    for cell in json.loads(notebook.read_text())['cells']:
        if cell['cell_type'] == 'code':
            yield cell['metadata'], ''.join(cell['source'])


def run(notebook, folder):
    """What a process does; its output goes to a file."""
    os.chdir(folder)
    sys.stdout = sys.stderr = open('output.txt', 'w', buffering=1)
    names = dict(__name__='__main__')
    for i, (metadata, source) in enumerate(cells_of(notebook)):
        exec(compile(source, f'{notebook.name}, code cell {i}', 'exec'), names)
        if 'parameters' in metadata.get('tags', ()):
            names.update({k: v for k, v in SHORT.items() if k in names})


@pytest.mark.timeout(1200)
@pytest.mark.parametrize('notebook', NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook, tmp_path):
    process = processes.start(run, notebook, tmp_path)
    process.join()
    output = (tmp_path / 'output.txt').read_text()
    assert process.exitcode == 0, output
    text, page = RESULTS[notebook.stem]
    assert re.search(text, output), output
    written = tmp_path / 'work_dirs' / notebook.stem / page
    assert written.stat().st_size > 1e5


@pytest.mark.parametrize('notebook', NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_begins_with_its_parameters(notebook):
    (first, source), *others = cells_of(notebook)
    assert first == dict(tags=['parameters'])
    assert not any(metadata for metadata, _ in others)
    names = {}
    exec(source, names)
    assert len(SHORT.keys() & names.keys()) >= 3
    # A value that is never read would be a parameter that does nothing.
    for name in names.keys() - {'Path', '__builtins__'}:
        assert re.search(rf'\b{name}\b', '\n'.join(s for _, s in others)), name


@pytest.mark.parametrize('notebook', NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_as_jupyter_writes_it_without_outputs(notebook):
    content = json.loads(notebook.read_text())
    assert notebook.read_text() == json.dumps(
        content, indent=1, ensure_ascii=False) + '\n'
    for cell in content['cells']:
        if cell['cell_type'] == 'code':
            assert not cell['outputs'] and cell['execution_count'] is None


@pytest.mark.parametrize('notebook', NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_names_is_there(notebook):
    text = notebook.read_text()
    links = re.findall(r'\]\(([^)#]+)', text)
    tools = re.findall(r'tools/[\w/]+\.py', text)
    assert links and all((FOLDER / link).is_file() for link in links)
    assert all((FOLDER.parents[1] / tool).is_file() for tool in tools)


def test_every_notebook_is_linked_from_a_page():
    pages = ''.join(page.read_text() for page in FOLDER.parent.glob('*.md'))
    assert RESULTS.keys() == {path.stem for path in NOTEBOOKS}
    for path in NOTEBOOKS:
        assert f'](notebooks/{path.name})' in pages, path
