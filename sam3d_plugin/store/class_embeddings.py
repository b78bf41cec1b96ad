"""Text features of class names.

    NAME.npz    names (K,) str
                embeddings (K, C) float32
                model () str, the model of images and text, as the settings
                    of region_features name it
                prompts (P,) str, the sentences that names were put into

Readers find classes by their names.
"""
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence, Union

import numpy as np

from .atomic import atomic_write
from .errors import StoreError
from .npz import is_finite, is_text, read_npz

_ARRAYS = ('names', 'embeddings', 'model')
_PROMPTS = 'prompts'  # which older files lack


@dataclass(frozen=True)
class ClassEmbeddings:
    """Text features of K classes."""
    names: Sequence[str]
    embeddings: np.ndarray  # (K, C) float32
    model: str  # What made them
    prompts: Sequence[str] = ()  # Such as 'a photo of a {}.'


def write_class_embeddings(path: Union[str, Path],
                           classes: ClassEmbeddings) -> None:
    """Write the file."""
    with atomic_write(str(path), 'wb') as file:
        np.savez(
            file,
            names=np.array(classes.names),
            embeddings=classes.embeddings.astype(np.float32),
            model=np.array(classes.model),
            prompts=np.array(classes.prompts, str))


def read_class_embeddings(
        path: Union[str, Path],
        classes: Optional[Sequence[str]] = None) -> ClassEmbeddings:
    """Read the file, or the rows of some classes in their order.

    Raises FileNotFoundError if it is missing.
    Raises StoreError if it is damaged or something else, or lacks a class.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'{path} is missing; write the text features of the classes with '
            'sam3d_plugin.store.class_embeddings.write_class_embeddings')
    try:
        arrays, _ = read_npz(str(path), (*_ARRAYS, _PROMPTS))
    except ValueError as error:
        raise StoreError(f'{path}: {error}; write it again') from error
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        raise StoreError(f'{path} has no {missing[0]}: it is not a file of '
                         'class embeddings; write it again')
    names, embeddings, model = (arrays[name] for name in _ARRAYS)
    if not (is_text(names, 1) and is_text(model, 0)
            and 0 < len(set(names)) == len(names)):
        raise StoreError(f'{path} must have different texts as names and one '
                         'as model; write it again')
    if not (embeddings.ndim == 2 and len(embeddings) == len(names)
            and is_finite(embeddings) and embeddings.any(1).all()):
        raise StoreError(f'{path} must have one finite embedding, not 0, for '
                         f'each of its {len(names)} names, not an array of '
                         f'shape {embeddings.shape}; write it again')
    rows = {name: i for i, name in enumerate(names.tolist())}
    classes = list(rows) if classes is None else classes
    unknown = [name for name in classes if name not in rows]
    if unknown:
        raise StoreError(f'{path} has no embedding of class {unknown[0]}: '
                         'write it with all classes of the config')
    found = embeddings[[rows[name] for name in classes]]
    return ClassEmbeddings(classes, found.astype(np.float32), str(model),
                           arrays.get(_PROMPTS, np.array([])).tolist())
