"""Trains and probes the arms of the ladder, and collects their results."""
import argparse
import os
import shlex
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import torch
from filelock import FileLock

from ..datasets.frame_index import read_scan_names
from ..engine.options import read_config
from ..store import provenance
from ..store.atomic import atomic_write
from ..store.checkpoint import read_checkpoint
from ..store.errors import UserError
from . import arms as ladder_arms
from . import ladder_results, records, steps

ROOT = Path(__file__).resolve().parents[2]
PROBE = 'tools/experiments/linear_probe.py'
SETTINGS, RESULT, SECONDS = 'settings.json', 'result.json', 'seconds.json'
TRAININGS = 'trainings'

SPLITS = 'train', 'val'
ANN_FILE = 'train_dataloader.dataset.ann_file'
# One train scene in so many is held out from its training and probe.
HELD_OUT = 4


class Training(NamedTuple):
    """A training, which arms that begin alike have in common."""
    step: ladder_arms.PlannedStep  # What is trained
    folder: Path  # Its work directory
    checkpoint: Path  # What it ends with


class Run(NamedTuple):
    """An arm with a seed."""
    arm: str  # Its name
    seed: int  # The seed
    folder: Path  # Where its result is
    trainings: List[Training]  # In order
    probe: List[str]  # Options of its probe, but the source
    digest: str  # What its result depends on


def plan_run(args: argparse.Namespace, name: str, seed: int,
             data: Dict[str, str]) -> Run:
    """Write down what an arm does with a seed."""
    arm = ladder_arms.ARMS[name]
    budget = ladder_arms.BUDGETS[args.budget]
    options = list(args.cfg_options)
    probe = [
        '--seed',
        str(seed), '--num-points',
        str(args.probe_points or budget.num_points), '--device', args.device
    ]
    if args.held_out:
        options.append(f'{ANN_FILE}={list_file(args, "train")}')
        for split in SPLITS:
            probe += [f'--{split}-scans', list_file(args, split)]
    planned = ladder_arms.plan(arm, budget, seed, args.data_root, args.length,
                               options)
    digest = ladder_arms.settings_hash(
        planned or [ladder_arms.fresh_encoder(arm, budget)], probe, data,
        args.data_root)
    folder = Path(args.work_dir, name, f'seed_{seed}')
    trainings = [
        plan_training(args, planned[:i + 1], data)
        for i in range(len(planned))
    ]
    return Run(name, seed, folder, trainings, probe, digest)


def list_file(args: argparse.Namespace, split: str) -> str:
    """Where the list of a split's scenes is, if scenes are held out."""
    return str(Path(args.work_dir, f'{split}_scenes.txt').resolve())


def hold_out(args: argparse.Namespace) -> None:
    """Share the train scenes among a train and a val list.

    Raises UserError when there are too few.
    """
    scenes = read_scan_names(f'{args.data_root}/splits/train.txt')
    val = scenes[HELD_OUT - 1::HELD_OUT]
    if not val:
        raise UserError(f'--held-out needs {HELD_OUT} train scenes, and '
                        f'{args.data_root}/splits/train.txt has {len(scenes)}')
    args.work_dir.mkdir(parents=True, exist_ok=True)
    shares = dict(train=[s for s in scenes if s not in val], val=val)
    for split in SPLITS:
        with atomic_write(list_file(args, split), 'w') as file:
            file.write('\n'.join(shares[split]) + '\n')


def plan_training(args: argparse.Namespace,
                  planned: List[ladder_arms.PlannedStep],
                  data: Dict[str, str]) -> Training:
    """Write down where the last of some steps is trained."""
    step = planned[-1]
    digest = ladder_arms.settings_hash(planned, [args.device], data,
                                       args.data_root)
    folder = Path(args.work_dir, TRAININGS, f'{step.name}_{digest}')
    settings = read_config(str(ROOT / step.config), step.options)
    return Training(step, folder, folder / steps.last_checkpoint(settings))


def is_finished(run: Run) -> bool:
    """Whether there is a result of these settings and data."""
    return records.read_json(run.folder / RESULT).get('hash') == run.digest


def prepare_folder(run: Run) -> None:
    """Make the folder; set aside what other settings left in it."""
    known = records.read_json(run.folder / SETTINGS).get('hash')
    if run.folder.exists() and known != run.digest:
        if known is not None:
            print(f'# {run.folder}: different settings or data, kept as '
                  f'{run.folder.rename(aside(run.folder, known))}')
        elif any(run.folder.iterdir()):
            raise SystemExit(f'error: {run.folder} holds files of something '
                             'else; choose another --work-dir')
    if aside(run.folder, run.digest).exists():
        aside(run.folder, run.digest).rename(run.folder)
    run.folder.mkdir(parents=True, exist_ok=True)
    if not (run.folder / SETTINGS).is_file():
        records.write_record(run.folder / SETTINGS, dict(hash=run.digest))


def aside(folder: Path, digest: str) -> Path:
    """Where a folder goes when its settings are not those of the run."""
    return folder.with_name(f'{folder.name}.{digest}')


def execute(command: List[str], log: Path, device: str) -> float:
    """Run a command, its output in a file; return the seconds it took."""
    environment = dict(os.environ)
    if device == 'cpu':
        environment['CUDA_VISIBLE_DEVICES'] = ''
    print('$', shlex.join(command), flush=True)
    begin = time.perf_counter()
    with open(log, 'a') as file:
        status, _ = steps.run_command(
            command, environment, cwd=ROOT, stdout=file, stderr=file)
    if status == steps.INTERRUPTED:
        raise KeyboardInterrupt
    if status:
        print(*log.read_text().splitlines()[-15:], sep='\n')
        steps.stop(steps.Command(command, str(log)), status)
    return round(time.perf_counter() - begin, 1)


def train(run: Run, args: argparse.Namespace) -> List[str]:
    """Train what is not trained yet; return the probe's source and options."""
    teacher = ''
    for training in run.trainings:
        training.folder.mkdir(parents=True, exist_ok=True)
        # Another ladder may need the same training.
        with FileLock(f'{training.folder}.lock'):
            train_step(training, teacher, args.device)
        teacher = str(training.checkpoint.resolve())
    if run.trainings:
        return [teacher]
    fresh = ladder_arms.fresh_encoder(ladder_arms.ARMS[run.arm],
                                      ladder_arms.BUDGETS[args.budget])
    return [fresh.config, *steps.option_list(fresh.options)]


def train_step(training: Training, teacher: str, device: str) -> None:
    """Train a step, unless that was done."""
    step, folder = training.step, training.folder
    times = folder / SECONDS
    if training.checkpoint.is_file() and times.is_file():
        print(f'# done: {training.checkpoint}', flush=True)
        return
    options = dict(step.options)
    if step.has_teacher:
        options['teacher'] = teacher
    was_resumed = any(folder.glob('*.pth'))
    command = ['python', 'tools/train.py', step.config, '--work-dir']
    command += [str(folder.resolve()), '--resume', *steps.amp_option(device)]
    command += steps.option_list(options) + step.extra
    if not (folder / SETTINGS).is_file():
        records.write_record(folder / SETTINGS, {})
    records.note_commit(folder / SETTINGS)
    seconds = execute(command, folder.with_suffix('.log'), device)
    records.write_record(
        times,
        dict(
            seconds=seconds,
            was_resumed=was_resumed,
            precision=steps.precision_on(device)))


def run_arm(run: Run, args: argparse.Namespace) -> None:
    """Train and probe an arm with a seed, unless that was done."""
    prepare_folder(run)
    if is_finished(run):
        print(f'# done: {run.arm}, seed {run.seed}', flush=True)
        return
    source, *options = train(run, args)
    scores_file = run.folder / 'probe.json'
    seconds = execute([
        'python', PROBE, source, '--data-root', args.data_root, *run.probe,
        '--json',
        str(scores_file.resolve()), *options
    ], run.folder / 'probe.log', args.device)
    scores = records.read_json(scores_file)
    own, interpolated = scores['own'], scores['three_nn']
    times = {
        training.step.name: records.read_json(training.folder / SECONDS)
        for training in run.trainings
    }
    stages = {name: time['seconds'] for name, time in times.items()}
    stages['probe'] = seconds
    result = dict(
        hash=run.digest,
        miou=own['miou'],
        macc=own['macc'],
        miou_three_nn=interpolated['miou'],
        macc_three_nn=interpolated['macc'],
        miou_rare=interpolated['miou_rare'],
        seconds=round(sum(stages.values()), 1),
        stage_seconds=stages,
        was_resumed=any(time['was_resumed'] for time in times.values()),
        precision=', '.join(
            dict.fromkeys(
                time.get('precision', ladder_results.PRECISION)
                for time in times.values())),
        frames_seen=frames_seen(run),
        frames=scores['frames'],
        tokens_per_frame=scores['tokens_per_frame'],
        checkpoint=str(run.trainings[-1].checkpoint.relative_to(args.work_dir))
        if run.trainings else None,
        commit=commits_of(run))
    records.write_record(run.folder / RESULT, result)


def commits_of(run: Run) -> str:
    """Commits that trained and probed an arm."""
    folders = [*(training.folder for training in run.trainings), run.folder]
    found = [records.commits_of(folder / SETTINGS) for folder in folders]
    return ', '.join(dict.fromkeys(', '.join(found).split(', ')))


def frames_seen(run: Run) -> int:
    """Frames that the trainings of a run saw in total."""
    states = [
        read_checkpoint(str(training.checkpoint))['state_dict']
        for training in run.trainings
    ]
    return sum(int(state['frames_seen']) for state in states)


def collect(args: argparse.Namespace, data: Dict[str, str]) -> Dict[str, Any]:
    """Read every result of these settings and data that is there.

    Those of the result file count, too: of a work folder on another machine.

    Returns the content of the result file; what is asked for, or begun, and
    not there, is listed under ``missing``.
    """
    before = records.read_json(Path(args.json))
    known = ladder_results.separate(before.get('arms', {}))
    found = [
        path.parent for path in Path(args.work_dir).glob(f'*/*/{SETTINGS}')
    ]
    begun = {(path.parent.name, int(path.name.split('_')[1]))
             for path in found
             if path.parent.name in ladder_arms.ARMS and not path.suffix}
    asked = {(arm, seed) for arm in args.arms for seed in args.seeds}
    results: ladder_results.Results = {}
    missing = []
    for arm in ladder_arms.ARMS:
        for seed in sorted(s for a, s in begun | asked | set(known)
                           if a == arm):
            run = plan_run(args, arm, seed, data)
            if is_finished(run):
                results[arm, seed] = records.read_json(run.folder / RESULT)
            elif known.get((arm, seed), {}).get('hash') == run.digest:
                results[arm, seed] = known[arm, seed]
            elif (arm, seed) in begun | asked:
                missing.append(f'{arm} seed {seed}')
    arms = ladder_results.aggregate(results)
    header = records.read_json(
        Path(args.data_root, 'region_maps', 'store.json'))
    frames = [r['frames'] for r in results.values() if 'frames' in r]
    frames += [before['data']['frames']] if before else []
    return dict(
        arms=arms,
        comparisons=ladder_results.comparisons(arms),
        missing=missing,
        budget=dict(
            name=args.budget,
            length=args.length or ladder_arms.BUDGETS[args.budget].length,
            unit=ladder_arms.BUDGETS[args.budget].unit,
            options=args.cfg_options,
            held_out=HELD_OUT if args.held_out else None),
        data=dict(
            name=Path(args.data_root).resolve().name,
            frames=frames[0] if frames else {},
            regions=header.get('settings', {}),
            manifests=data),
        machine=provenance.machine(
            args.device, threads=torch.get_num_threads()))


def run(args: argparse.Namespace) -> None:
    """Run the arms, seed by seed, and write the results."""
    args.data_root = str(Path(args.data_root).resolve())
    args.device = args.device or ('cuda'
                                  if torch.cuda.is_available() else 'cpu')
    data = ladder_arms.data_checksums(args.data_root)
    if args.held_out:
        hold_out(args)
    for seed in args.seeds:
        for name in args.arms:
            run_arm(plan_run(args, name, seed, data), args)
            records.write_record(Path(args.json), collect(args, data))
    results = collect(args, data)
    records.write_record(Path(args.json), results)
    print(ladder_results.ladder_table(results))
