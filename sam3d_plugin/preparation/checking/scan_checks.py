"""Results of the checks of a recording, stored and printed."""
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List

from ...store.errors import FrameError
from ...store.files import exists, read_bytes
from ...store.posed_images import PosedImages
from .recording_check import check_agreement, check_up, list_doubts
from .source_frames import Source

#: File of a scan's folder in posed_images.
CHECKS = 'checks.json'

# Scans whose notes are printed one by one.
_FEW = 20


@dataclass(frozen=True)
class Checks:
    """Results of the checks of a recording."""
    # See :meth:`Agreement.to_fields`
    agreement: Dict[str, Any] = field(default_factory=dict)
    up: str = 'unknown'  # ``'given'``, ``'z'``, or ``'unknown'``
    is_checked: bool = True  # Whether a failed check would have stopped it
    notes: List[str] = field(default_factory=list)  # Lines for the log

    def to_json(self) -> bytes:
        """The content of :data:`CHECKS`."""
        text = json.dumps(asdict(self), indent=1, sort_keys=True)
        return f'{text}\n'.encode()


def read_checks(images: PosedImages, scan: str) -> Checks:
    """Results of the checks of an imported scan; empty for others.

    FrameError when the file is damaged.
    """
    path = images.path(scan, CHECKS)
    if not exists(path, images.backend_args):
        return Checks()
    try:
        return Checks(**json.loads(read_bytes(path, images.backend_args)))
    except (TypeError, ValueError) as error:
        raise FrameError(f'{images.label(scan, CHECKS)} is damaged; remove '
                         'it') from error


def summarize_checks(checks: Dict[str, Checks]) -> List[str]:
    """Lines for the log: notes of a few scans, or else the median share and
    the scan that agrees least."""
    if len(checks) <= _FEW:
        return [
            f'{scan}: {note}' for scan, found in checks.items()
            for note in found.notes
        ]
    shares = {
        scan: found.agreement['share']
        for scan, found in checks.items() if found.agreement.get('is_telling')
    }
    lines = [
        f'{len(checks) - len(shares)} of {len(checks)} scans overlap '
        'too little to tell whether their frames agree'
    ]
    if shares:
        worst = min(shares, key=lambda scan: shares[scan])
        median = sorted(shares.values())[len(shares) // 2]
        lines.append(f'frames agree on {median:.0%} of their points (median); '
                     f'{worst} has the least, {shares[worst]:.0%}')
    return lines


def check_source(source: Source,
                 is_up_given: bool = False,
                 is_checked: bool = True) -> Checks:
    """Check a recording.

    ``is_up_given``: the user says what points up. FrameError when frames
    disagree or the recording is on its side; without ``is_checked`` that is a
    note.
    """
    notes: List[str] = []
    fields: Dict[str, Any] = {}
    up = 'given' if is_up_given else 'unknown'
    try:
        agreement, note = check_agreement(source)
        fields = agreement.to_fields()
        notes += [note, *list_doubts(source, agreement)]
        if not is_up_given:
            up, note = check_up(source)
            notes.append(note)
    except FrameError as error:
        if is_checked:
            raise
        notes.append(f'not checked: {error}')
    return Checks(fields, up, is_checked, [note for note in notes if note])
