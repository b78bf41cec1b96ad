"""The table of our choices says what the configs say."""
import ast
import functools
import importlib
import inspect
import re
from pathlib import Path

import pytest
from mmdet3d.registry import DATASETS, MODELS, TRANSFORMS
from mmengine.config import Config

import sam3d_plugin  # noqa: F401 (registers)
from sam3d_plugin.preparation.features.encoders.timm_encoder import TimmEncoder

ROOT = Path(__file__).parents[1]
SECTION = re.compile(r'^#+ Our choices\n(.*?)(?=^#|\Z)',
                     re.DOTALL | re.MULTILINE)
SETTING = re.compile(r'`([\w/]+\.py): (?:-O |--)?([\w.-]+) = (.+?)`')
REQUIRED = dict(build_groups=['--data', 'x'], lift_regions=['--data', 'x'])


def rows():
    section = SECTION.search((ROOT / 'docs' / 'method.md').read_text())
    assert section, 'docs/method.md has no section "Our choices"'
    cells = [
        line.split('|')[2].strip() for line in section.group(1).splitlines()
        if line.startswith('|')
    ]
    return cells[2:]


def default_of(node, name):
    """Default of an argument of the class that a config names."""
    for registry in (MODELS, TRANSFORMS, DATASETS):
        found = registry.get(node['type'])
        if found is not None:
            # A subclass may pass arguments on.
            known = {}
            for cls in reversed(found.__mro__):
                known.update(inspect.signature(cls).parameters)
            return known[name].default
    raise KeyError(node['type'])


@functools.lru_cache
def read(path):
    return Config.fromfile(path, import_custom_modules=False)


def value_in_config(path, key):
    node = read(path)
    for part in key.split('.'):
        if isinstance(node, list):
            node = node[int(part)]
        elif part in node:
            node = node[part]
        else:
            node = default_of(node, part)
    return node


def value_in_tool(name, key):
    if name == 'extract_features':
        return inspect.signature(TimmEncoder).parameters[key].default
    tool = importlib.import_module(f'tools.preparation.{name}')
    return getattr(tool.parse_args(REQUIRED[name]), key.replace('-', '_'))


def test_table_is_there():
    assert len(rows()) > 30
    assert all(SETTING.fullmatch(row) for row in rows())


@pytest.mark.parametrize('row', rows())
def test_row_says_what_the_config_says(row):
    path, key, value = SETTING.fullmatch(row).groups()
    config = ROOT / 'configs' / 'sam3d' / path
    found = value_in_config(config, key) if config.is_file() \
        else value_in_tool(Path(path).stem, key)
    assert found == ast.literal_eval(value)


def test_a_stale_value_is_found():
    config = ROOT / 'configs' / 'sam3d' / 'stage1_scannet.py'
    assert value_in_config(config, 'model.backbone.tokenizer.min_points') != 17
    with pytest.raises(KeyError):
        value_in_config(config, 'model.backbone.tokenizer.no_such_argument')
