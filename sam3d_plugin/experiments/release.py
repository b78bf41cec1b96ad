"""The encoder and the detector that come with the package.

Rooms that no benchmark has, stage 1 on them, a detector from it, scores in
other made-up rooms and, where recordings are given, in a real room and its
rescan. No training sees a real room.
"""
import argparse
import json
import shlex
from inspect import signature
from pathlib import Path
from typing import Any, Dict, List, Optional

from mmengine.config import Config
from mmengine.runner import Runner
from safetensors.torch import save
from torch import Tensor

from .. import shipped
from ..engine.export import read_encoder
from ..engine.model_card import render_card
from ..engine.options import read_config
from ..store import atomic_write
from ..store.checkpoint import read_checkpoint
from ..store.encoder_folder import CARD, read_settings, write_encoder_folder
from ..store.provenance import commit, file_digest, hardware
from . import overfit, steps
from .records import read_json, write_record

# No room of a benchmark (seed 0) or of the image model's training (1000).
ROOMS, SEED = 160, 2000
STAGE1 = 'configs/sam3d/stage1_synthrooms_mini.py'
VOTENET = 'configs/sam3d/votenet_synthrooms_release.py'
STAGE1_STEPS = 3000
# Tokens as those of the detector, in frames of half as many points.
TOKENS = dict(
    _delete_=True, type='KNNTokenizer', num_tokens=64, num_neighbors=64)
_DATA = f'SynthRooms of seed {SEED}'
AP25, AP50 = 'mAP_0.25', 'mAP_0.50'
_CARD = """# Encoder and detector

To try the tools on a scan without a training: a VoteNet on the tokens of a
small plain transformer (`encoder`), for the 18 classes of ScanNet. Both saw
made-up rooms only, so they say little about what the method reaches on real
data.

| | |
|---|---|
| rooms | {data}, {rooms} in all, a quarter for scores |
| encoder | stage 1 on kNN tokens, {stage1:,} steps of 2 frames |
| detector | {steps:,} steps of 2 rooms; kNN tokens |
| parameters | {parameters:,}, in half precision |
| file | `detector.safetensors`, SHA-256 starts with `{digest}` |
| license | Apache-2.0, that of this project |

{scores}

    {command}

Another machine or build of torch gives other bytes.
"""


def data_steps(root: str) -> List[steps.Command]:
    """From nothing to rooms with groups of region features."""
    tools = 'tools/preparation'
    commands = {
        'scannet_infos_val.pkl':
        f'make_synthrooms.py --scenes {ROOMS} --seed {SEED} --out',
        'region_maps/manifest.json':
        'generate_regions.py --data',
        'region_features/manifest.json':
        'extract_features.py --encoder standin --data',
        'region_groups/train/manifest.json':
        f'build_groups.py --set train --infos {root}/scannet_infos_train.pkl '
        '--data',
    }
    return [
        steps.Command(['python', *f'{tools}/{text} {root}'.split()],
                      f'{root}/{output}') for output, text in commands.items()
    ]


def run(args: argparse.Namespace) -> None:
    """Train and measure what is not done, and write what is shipped."""
    work, data = str(args.work_dir), f'{args.work_dir}/data'
    options = {'data_root': f'{data}/', **args.cfg_options}
    stage1 = steps.training(
        STAGE1, f'{work}/stage1', {
            **options, 'model.backbone.tokenizer': TOKENS,
            **steps.length_options(STAGE1_STEPS)
        })
    encoder = f'{work}/encoder'
    export = steps.Command([
        'python', 'tools/export_backbone.py', stage1.output, '--license',
        'apache-2.0', '--out', encoder
    ], f'{encoder}/config.json')
    detector = steps.training(
        VOTENET, f'{work}/detector', {
            **options, 'model.backbone.init_cfg':
            dict(type='Pretrained', checkpoint=encoder)
        })
    steps.run_steps([*data_steps(data), stage1, export, detector])
    scores = {
        name: _score(detector.output, f'{work}/{name}', dict(found))
        for name, found in _rooms(args.source, data).items()
    }
    write_record(
        Path(args.json),
        dict(scores=scores, commit=commit(), hardware=hardware()))
    write_shipped(shipped.FOLDER, encoder, detector.output, scores,
                  _command(args))


def _command(args: argparse.Namespace) -> str:
    """What another machine runs for the same, without folders of this one."""
    source = ['--source', 'RECORDINGS'] if args.source else []
    return shlex.join([
        'python', 'tools/experiments/release.py', *source,
        *steps.option_list(args.cfg_options)
    ])


def _rooms(source: Optional[str], data: str) -> Dict[str, Dict[str, Any]]:
    """Options of the test, by what it is of."""
    found: Dict[str, Dict[str, Any]] = {
        'made-up rooms': {
            'data_root': f'{data}/'
        }
    }
    if source:
        real = f'{data}/real'
        steps.run_steps(overfit.preparation(source, real, 'room'))
        root = f'{overfit.data_roots(real)["room"]}/'
        for name, infos in ((overfit.SCAN, 'scannet_infos_val.pkl'),
                            (overfit.RESCAN, overfit.INFOS)):
            found[f'ScanNet {name}'] = {
                'data_root': root,
                overfit.ANN_FILE: infos
            }
    return found


def _score(checkpoint: str, folder: str,
           options: Dict[str, Any]) -> Dict[str, float]:
    """Test the detector; per cent."""
    folder = folder.replace(' ', '_')
    output = f'{folder}/scores.json'
    steps.run_steps([
        steps.Command([
            'python', steps.TEST, VOTENET, checkpoint, '--work-dir', folder,
            '--json', output, *steps.option_list(options)
        ], output)
    ])
    metrics = read_json(Path(output))
    return {key: 100 * metrics[key] for key in (AP25, AP50)}


def write_shipped(folder: Path, encoder: str, checkpoint: str,
                  scores: Dict[str, Dict[str, float]], command: str) -> None:
    """Write the files of :mod:`sam3d_plugin.shipped`.

    Args:
        folder (Path): Where they go.
        encoder (str): Folder of the exported encoder.
        checkpoint (str): The trained detector.
        scores (Dict[str, Dict[str, float]]): AP25 and AP50 in per cent by
            what they are of, for the card.
        command (str): How both were made, for the card.
    """
    settings = dict(read_settings(encoder), data=_DATA)
    target = Path(folder, Path(shipped.ENCODER).name)
    write_encoder_folder(target, _half(read_encoder(encoder)[0]), settings,
                         {CARD: render_card(settings, has_config=False)})
    state = _half(read_checkpoint(checkpoint)['state_dict'])
    _write(folder / Path(shipped.DETECTOR).name, save(state))
    cfg = read_config(VOTENET, {})
    _write(folder / Path(shipped.CONFIG).name, _as_json(cfg))
    lines = ['| measured in | AP25 | AP50 |', '|---|---:|---:|']
    lines += [
        f'| {name} | {found[AP25]:.1f} | {found[AP50]:.1f} |'
        for name, found in scores.items()
    ]
    card = _CARD.format(
        data=_DATA,
        rooms=ROOMS,
        stage1=STAGE1_STEPS,
        steps=cfg.train_cfg.max_iters,
        parameters=sum(t.numel() for t in state.values()),
        digest=file_digest(folder / Path(shipped.DETECTOR).name),
        scores='\n'.join(lines),
        command=command)
    _write(folder / 'README.md', card.encode())


def _half(state: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """The numbers with a fraction in half precision."""
    return {
        name: (t.half() if t.is_floating_point() else t).contiguous()
        for name, t in state.items()
    }


def _as_json(cfg: Config) -> bytes:
    """What a runner reads, without the names that files of configs share."""
    read = (*signature(Runner).parameters, 'custom_imports', 'data_root',
            'runner_type')
    settings = {key: value for key, value in cfg.items() if key in read}
    return f'{json.dumps(settings, indent=1)}\n'.encode()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(content)
