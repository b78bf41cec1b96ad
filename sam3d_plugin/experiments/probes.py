"""Several probes side by side, as one file and one table."""
import json
from pathlib import Path
from typing import Any, Dict

from .records import write_record
from .tables import entries_table

READ_OUTS = ('own', 'three_nn')


def add_probe(path: Path, name: str, probe: Dict[str, Any]) -> None:
    """Add a probe to a file of probes, in place of one of the same name."""
    content = json.loads(path.read_text()) if path.is_file() else {}
    encoder = probe['encoder']
    entry = {
        key: {
            score: probe[key][score]
            for score in ('miou', 'macc')
        }
        for key in READ_OUTS
    }
    for key in ('frames', 'tokens_per_frame', 'settings'):
        entry[key] = probe[key]
    entry['encoder'] = {
        key: encoder.get(key)
        for key in ('method', 'tokenizer', 'frames_seen', 'config_hash')
    }
    content.setdefault('probes', {})[name] = entry
    write_record(path, content)


def probes_table(results: Dict[str, Any]) -> str:
    """Markdown table of a file of probes."""
    entries = [
        dict(
            entry,
            name=name,
            **{
                f'percent_{key}': 100 * entry[key]['miou']
                for key in READ_OUTS
            }) for name, entry in results['probes'].items()
    ]
    return entries_table([('probed', '{name}'),
                          ('tokens a frame', '{tokens_per_frame[val]:.0f}'),
                          ('mIoU, own token', '{percent_own:.1f}'),
                          ('three nearest', '{percent_three_nn:.1f}')],
                         entries)
