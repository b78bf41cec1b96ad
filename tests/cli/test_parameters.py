"""Options that come from the parameters of a class."""
import argparse
from dataclasses import dataclass
from typing import Optional

import pytest

from sam3d_plugin.cli.parameters import add_parameters, chosen


@dataclass(frozen=True)
class Options:
    """What a step takes.

    Args:
        edge_length (float): Edge of the voxels,
            meters. Defaults to 0.5.
        limit (int, optional): Most points, 100% by default.
        order (str): One of two.
        is_kept (bool): Whether it stays.
    """
    edge_length: float = 0.5
    limit: Optional[int] = None
    order: str = 'near'
    is_kept: bool = True


def parse(words, names=None):
    parser = argparse.ArgumentParser()
    add_parameters(parser, Options, names, order=('near', 'far'))
    return parser, chosen(parser.parse_args(words), Options, names)


def test_defaults_are_those_of_the_class():
    assert Options(**parse([])[1]) == Options()


def test_values_have_the_types_of_the_class():
    words = '--edge-length 2 --limit 3 --order far --no-is-kept'.split()
    assert Options(**parse(words)[1]) == Options(2.0, 3, 'far', False)


def test_help_is_the_docstring():
    text = ' '.join(parse([])[0].format_help().split())
    assert 'Edge of the voxels, meters (default: 0.5)' in text
    assert 'Most points, 100% by default' in text and 'Defaults to' not in text


def test_only_chosen_parameters_are_options():
    parser, values = parse([], ('limit', ))
    assert values == dict(limit=None)
    with pytest.raises(SystemExit):
        parser.parse_args(['--order', 'far'])
    with pytest.raises(SystemExit):
        parse(['--order', 'sideways'])
