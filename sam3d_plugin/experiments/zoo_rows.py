"""Result files of the zoo and of its rates, to which rows are added.

Rows stand in one table if their budget and data are the same.
"""
from pathlib import Path
from typing import Any, Dict

from ..store.errors import UserError
from ..store.manifest import differences
from . import records

# What rows must have in common beside their data.
SETTINGS = ('budget', 'rates', 'seed')


def read(path: Path, header: Dict[str, Any]) -> Dict[str, Any]:
    """Read the rows of a result file that new ones are added to.

    Of the data's manifests, those that both have are compared: an arm does
    not depend on a file that its data set lacked.

    Args:
        path (Path): The result file, which may be missing.
        header (Dict[str, Any]): Of the new rows: ``SETTINGS``, where they
            have them, and ``data`` of the ladder's result file.

    Returns:
        Dict[str, Any]: ``rows`` of the file, and ``data`` of all rows.

    Raises:
        UserError: When the file has another budget or other data.
    """
    data = header['data']
    before = records.read_json(path) or dict(rows=[], data=data)
    manifests = before['data']['manifests']
    settings = [key for key in SETTINGS if key in before and key in header]
    files = manifests.keys() & data['manifests'].keys()
    old, new = ({
        **{
            key: content[key]
            for key in settings
        },
        **{
            name: content['data']['manifests'][name]
            for name in files
        }
    } for content in (before, header))
    found = differences(old, new)
    if found:
        raise UserError(
            f'{path} has rows of another budget or other data ({found[0]}); '
            'choose another folder for --json')
    return dict(
        rows=before['rows'],
        data=dict(data, manifests={
            **manifests,
            **data['manifests']
        }))
