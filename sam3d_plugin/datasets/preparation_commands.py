"""Which command makes the annotation file that a config asks for."""
import os.path as osp
import re
import shlex

_TOOLS = 'python tools/preparation/'
# Ends of lists of few labelled scans: a percentage, and a seed beside 0.
_FEW = re.compile(r'(?<=_train)_(\d+(?:\.\d+)?)(?:_seed(\d+))?\.pkl$')


def command_for_file(path: str) -> str:
    """Say how to make an annotation file in a data root that exists.

    Args:
        path (str): Its name.

    Returns:
        str: A command, with words in capitals for what only the user knows.
    """
    few = _FEW.search(path)
    if few:
        full = shlex.quote(_FEW.sub('.pkl', path))
        return (f'{_TOOLS}make_few_label_lists.py {full} '
                f'--percentages {few[1]} --seeds {few[2] or 0}')
    return command_for_root(osp.dirname(path), osp.basename(path))


def command_for_root(root: str, name: str) -> str:
    """Say how to make a whole data set.

    Args:
        root (str): Its folder.
        name (str): One of its annotation files, which tells its kind.

    Returns:
        str: A command, or two where both are possible.
    """
    out = shlex.quote(root)
    if name.startswith('sunrgbd'):
        return f'{_TOOLS}prepare_sunrgbd.py --source RELEASE --out {out}'
    if name.startswith('s3dis'):
        return f'{_TOOLS}prepare_s3dis.py --source RELEASE --out {out}'
    if 'synthrooms' in root:
        return f'{_TOOLS}make_synthrooms.py --size quick --out {out}'
    return (f'{_TOOLS}prepare_scannet.py --source RELEASE --lists LISTS '
            f'--out {out} (the release) or {_TOOLS}import_scans.py --source '
            f'DIR --out {out} (your scans)')
