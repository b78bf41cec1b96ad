"""Identity of frames: checksums of their files."""
from pathlib import PurePosixPath
from typing import Dict, List

from .files import BackendArgs, checksum
from .manifest import Store


def read_frame_checksums(images: str, scan: str,
                         backend_args: BackendArgs) -> Dict[str, str]:
    """Fingerprints of a scan's frames.

    By frame; empty without a record. The frames of ``posed_images`` are in the
    records of the step that wrote the folder, or of the one that wrote the
    data set around it. FrameError when a run is writing the frames or was
    stopped.
    """
    folder, name = images.rstrip('/').rpartition('/')[::2]
    for root, start in ((images, ''), (folder or '.', f'{name}/')):
        store = Store(root, backend_args)
        if not store.exists():
            continue
        store.check_complete(scan)
        record = store.record(scan)
        files = {
            path: state[1]
            for item in (record.items.values() if record else ())
            for path, state in item.files.items()
            if path.startswith(f'{start}{scan}/')
        }
        if files:
            return _join(files)
    return {}


def _join(files: Dict[str, str]) -> Dict[str, str]:
    """One fingerprint of the files that differ in their ending only."""
    joined: Dict[str, List[str]] = {}
    for path in sorted(files):
        joined.setdefault(PurePosixPath(path).stem, []).append(files[path])
    return {
        frame: checksum(' '.join(checksums).encode())
        for frame, checksums in joined.items()
    }
