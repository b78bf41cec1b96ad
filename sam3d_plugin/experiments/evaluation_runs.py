"""Trains and evaluates an arm, seed by seed, into records."""
import argparse
import json
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from mmengine.config import Config

import sam3d_plugin.engine  # noqa: F401  knows the projects' configs
import sam3d_plugin.engine.options as engine_options
from ..store import provenance
from . import leaderboard, records, steps

ROOT = Path(__file__).resolve().parents[2]
SEEDED, TEST_PIPELINE = 'SeededPointSample', 'test_dataloader.dataset.pipeline'
# Deals out all points of a scan at random when it infers.
SEEDED_MODEL = 'PointTokenSegmentor'
# What a record depends on. The commit is noted in it, and compare.py says
# where arms differ in it: most commits change no result.
DECISIVE = ('config_hash', 'data', 'encoder', 'start', 'best', 'checkpoint',
            'evaluations')


def seed_settings(args: argparse.Namespace, seed: int) -> Dict[str, Any]:
    """Options of a run, with its seed."""
    options = {k: _fill(v, seed) for k, v in args.cfg_options.items()}
    return dict(options, **{'randomness.seed': seed})


def _fill(value: Any, seed: int) -> Any:
    """Put the seed where {seed} stands, also inside dicts and lists."""
    if isinstance(value, dict):
        return {key: _fill(item, seed) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_fill(item, seed) for item in value)
    if value == '{seed}':
        return seed
    return value.replace('{seed}', str(seed)) if isinstance(value,
                                                            str) else value


def read_settings(args: argparse.Namespace, seed: int) -> Config:
    """The config of a run."""
    return engine_options.read_config(args.config, seed_settings(args, seed))


def describe(args: argparse.Namespace, seed: int,
             cfg: Config) -> Dict[str, Any]:
    """What a run depends on, known before it starts."""
    given = args.checkpoints and args.checkpoints[args.seeds.index(seed)]
    if given and not Path(given).is_file():
        raise records.RecordError(f'{given} of --checkpoints is missing')
    return dict(
        arm=args.arm,
        seed=seed,
        config=Path(args.config).stem,
        kind=records.arm_kind(cfg),
        options={
            k: str(v)
            for k, v in args.cfg_options.items()
        },
        evaluations=args.evaluations,
        config_hash=records.config_hash(cfg),
        data=records.data_checksums(cfg),
        scored_on=records.scored_on(cfg),
        encoder=records.encoder_mark(cfg),
        start=records.file_mark(cfg.get('load_from')),
        best=args.best,
        checkpoint=records.file_mark(given))


def is_current(path: Path, description: Dict[str, Any]) -> bool:
    """Whether a run is there already.

    Args:
        path (Path): Its record.
        description (Dict[str, Any]): What it must depend on.

    Returns:
        bool: False where there is none.

    Raises:
        RecordError: When it was computed from different settings or data.
    """
    if not path.is_file():
        return False
    found = json.loads(path.read_text())
    for key in DECISIVE:
        old, new = found.get(key), description[key]
        if old != new:
            raise records.RecordError(
                f'{path} was made with another {key} ({old}, now {new}); '
                'choose another --out, or remove the file and the training '
                'of that seed')
    return True


def train(args: argparse.Namespace, seed: int, cfg: Config,
          work_dir: Path) -> Optional[float]:
    """Train, unless that was done before.

    Returns the seconds; None where an earlier attempt did a part.
    """
    options = seed_settings(args, seed)
    if validates_often(cfg):
        options['default_hooks.checkpoint.save_best'] = best_metric(args, cfg)
        options['default_hooks.checkpoint.rule'] = 'greater'
    step = steps.training(args.config, str(work_dir), options)
    times = work_dir / 'seconds.json'
    if step.is_done:
        return json.loads(times.read_text()) if times.is_file() else None
    is_fresh = not list(work_dir.glob('*.pth'))
    begin = time.time()
    records.note_commit(work_dir / records.TRAINING)
    steps.run_steps([step])
    seconds = round(time.time() - begin, 1) if is_fresh else None
    times.write_text(json.dumps(seconds))
    return seconds


def validates_often(cfg: Config) -> bool:
    """Whether a schedule validates more than once, so that one is best."""
    length = cfg.train_cfg.get('max_epochs') or cfg.train_cfg.get('max_iters')
    interval = cfg.train_cfg.get('val_interval', 1)
    return bool(cfg.get('val_dataloader')) and interval < length


def best_metric(args: argparse.Namespace, cfg: Config) -> str:
    """Metric that chooses the best epoch."""
    return args.best or ('mAP_0.25' if 'bbox_head' in cfg.model else 'miou')


def find_checkpoints(args: argparse.Namespace, index: int, cfg: Config,
                     work_dir: Path) -> Dict[str, str]:
    """Files to evaluate, by 'last' and, where there is one, 'best'."""
    if args.checkpoints:
        return dict(last=args.checkpoints[index])
    found = dict(last=str(work_dir / steps.last_checkpoint(cfg)))
    if validates_often(cfg):
        best = sorted(
            work_dir.glob('best_*.pth'), key=lambda p: p.stat().st_mtime)
        found.update(best=str(best[-1])) if best else None
    return found


def evaluate(args: argparse.Namespace, checkpoint: str, cfg: Config,
             folder: Path) -> List[Dict[str, float]]:
    """Evaluate a checkpoint, each time with other sampled points."""
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for i in range(args.evaluations):
        options = dict(
            seed_settings(args, cfg.randomness.seed), **seed_options(cfg, i))
        output = folder / f'{Path(checkpoint).stem}_{i}.json'
        steps.run_steps([
            steps.Command([
                'python', steps.TEST, args.config, checkpoint, '--json',
                str(output), '--work-dir',
                str(folder)
            ] + steps.option_list(options), str(output))
        ])
        results.append(json.loads(output.read_text()))
    return results


def seed_options(cfg: Config, seed: int) -> Dict[str, Any]:
    """Options that make an evaluation sample other points."""
    options: Dict[str, Any] = {'randomness.seed': seed}
    if cfg.model.type.endswith(SEEDED_MODEL):
        # Most configs leave it out.
        options['+model.test_cfg.seed'] = seed
    for i, step in enumerate(cfg.test_dataloader.dataset.get('pipeline', ())):
        if step['type'] == SEEDED:
            options[f'{TEST_PIPELINE}.{i}.seed'] = seed
    return options


def score_folder(work_dir: Path, description: Dict[str, Any],
                 checkpoint: str) -> Path:
    """Where scores go: not with those of other settings, data or weights."""
    checksums = [
        description['config_hash'], description['data'],
        records.file_mark(checkpoint)
    ]
    text = json.dumps(checksums, sort_keys=True)
    return work_dir / f'test_{provenance.digest(text.encode())}'


def run_seed(args: argparse.Namespace, index: int) -> None:
    """Train and evaluate one seed, and write its record."""
    seed = args.seeds[index]
    path = args.out / f'seed_{seed}.json'
    cfg = read_settings(args, seed)
    description = describe(args, seed, cfg)
    if is_current(path, description):
        print(f'# done: {path}', flush=True)
        return
    work_dir = args.work_dir / f'seed_{seed}'
    seconds = None
    if not args.checkpoints:
        records.claim_work_dir(work_dir, description)
        seconds = train(args, seed, cfg, work_dir)
    found = find_checkpoints(args, index, cfg, work_dir)
    begin = time.time()
    scores = {
        name: evaluate(args, file, cfg,
                       score_folder(work_dir, description, file))
        for name, file in found.items()
    }
    records.write_record(
        path,
        dict(
            description,
            checkpoints={
                k: Path(v).name
                for k, v in found.items()
            },
            scores=scores,
            seconds=dict(
                training=seconds, evaluation=round(time.time() - begin, 1)),
            commit=provenance.commit() if args.checkpoints else
            records.commits_of(work_dir / records.TRAINING),
            hardware=provenance.hardware()))
    print(f'# written: {path}', flush=True)


def run(args: argparse.Namespace) -> None:
    """Run every seed, and write the row of the board."""
    for index in range(len(args.seeds)):
        run_seed(args, index)
    print(f'# written: {leaderboard.write_row(args.out)}', flush=True)
