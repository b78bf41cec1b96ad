"""Run the complete method: from synthetic rooms to detected objects, one page.

    make quickstart            or, after make setup,
    python tools/quickstart.py

Needs no data, no weights and no GPU. Runs the tools of this project one after
the other. The first pictures are there within two minutes, on a page that
grows with the results. The log has every command as you would type it, and
what it prints. Finished steps are skipped; rerun the command to resume.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sam3d_plugin import shipped
from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.experiments.progress import Progress
from sam3d_plugin.experiments.steps import (RECORD, Command, Record,
                                            amp_option, length_options,
                                            run_steps)
from sam3d_plugin.store.provenance import hardware

ROOMS = ('--size', 'quick', '--seed', '0')
# Of a stage; the other trainings are shortened with it.
STEPS = 500
# Of 0, 1 and 2 the one whose stage 2 has the median score in the probe.
SEED = 2
# A dot of a curve is the mean of so many steps; a kill costs at most so many.
LOGGED, SAVED = 8, 100
REPORT = 'report.html'
GEOMETRY = 'geometry.json'
LOG = 'log.txt'
# The record with what a page of the results so far says of the rest.
SO_FAR = 'so_far.json'
# What the steps took when they were measured last.
MEASURED = ROOT / 'docs/results/quickstart.json'
ENCODERS = ('untrained', 'stage 1', 'stage 2')
# Steps after which the page has something new to show.
MILESTONES = ('encoder: untrained', 'linear probe: stage 1',
              'linear probe: stage 2', 'detector: scores')
GPU_NAMES = ('from torch import cuda\n'
             'for i in range(cuda.device_count()):\n'
             '    print(cuda.get_device_name(i))')


@dataclass(frozen=True)
class Training:
    """A training of the quickstart."""
    title: str  # For people; without spaces, its folder
    purpose: str  # A sentence on what it is for
    config: str  # File
    steps: int  # Of the complete quickstart
    batch: int  # Frames or rooms of a step, as the config says
    options: Tuple[str, ...] = ()  # Over the config

    def folder(self, args: argparse.Namespace) -> str:
        """Its work directory."""
        return f'{args.work_dir}/{self.title.replace(" ", "")}'

    def length(self, args: argparse.Namespace) -> int:
        """Its steps in this run, enough that a loss is logged."""
        return max(self.steps * args.steps // STEPS, LOGGED)

    def checkpoint(self, args: argparse.Namespace) -> str:
        """The file that it ends with."""
        return f'{self.folder(args)}/iter_{self.length(args)}.pth'


# Half of the points, and an encoder that keeps what it has learned, halve the
# time of a step.
POINTS = ('train_dataloader.dataset.pipeline.0.num_points=2048', )
FROZEN = ('model.backbone.frozen=True', )
STAGE1 = Training(
    'stage 1', 'The network learns to predict the 2D feature of every region.',
    'configs/sam3d/stage1_synthrooms_mini.py', STEPS, 2, POINTS)
STAGE2 = Training(
    'stage 2', 'A copy of the network sees 40 % of the tokens and predicts '
    'the features that stage 1 gives to the others; it still learns those of '
    'the regions.', 'configs/sam3d/stage2_ours_synthrooms_mini.py', STEPS, 2,
    POINTS)
DETECTOR = Training(
    'detector', 'On the frozen encoder of stage 2, it learns boxes of '
    'objects from labels.', 'configs/sam3d/votenet_synthrooms_mini_knn.py',
    200, 1, FROZEN)
SEGMENTOR = Training(
    'segmentor', 'On the frozen encoder of stage 2, it learns classes '
    'of points from labels.', 'configs/sam3d/segmentor_synthrooms_mini.py', 80,
    2, FROZEN)


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        '--gpus',
        type=int,
        default=0,
        metavar='N',
        help='processes with a GPU each that train (default: 0, the CPU)')
    parser.add_argument(
        '--data-root',
        default='data/quickstart',
        help='where the rooms go (default: %(default)s)')
    parser.add_argument(
        '--work-dir',
        default='work_dirs/quickstart',
        help='where everything else goes (default: %(default)s)')
    parser.add_argument(
        '--steps',
        type=int,
        default=STEPS,
        help=f'of each stage, at least {LOGGED}; the fine-tunings are '
        'shortened as much (default: %(default)s)')
    args = parser.parse_args(argv)
    if args.gpus < 0 or args.steps < LOGGED:
        parser.error(f'--gpus starts at 0, --steps at {LOGGED}, where the '
                     'first loss is logged')
    return args


def build_steps(args: argparse.Namespace) -> List[Command]:
    """All steps in their order."""
    teacher, student = (s.checkpoint(args) for s in (STAGE1, STAGE2))
    rooms, regions, *prepared = _preparation_steps(args.data_root)
    untrained, stage1, stage2 = (_encoder_steps(
        args, name,
        source) for name, source in zip(ENCODERS, (STAGE1.config, teacher,
                                                   student)))
    geometry = f'{args.work_dir}/{GEOMETRY}'
    # First what the first page shows.
    steps = [
        rooms,
        _shipped_step(args), regions, untrained[0], *prepared,
        Command([
            'python', 'tools/experiments/feature_geometry.py', '--data-root',
            args.data_root, '--json', geometry
        ], geometry, 'features and geometry',
                'How much of the features a network could learn that sees '
                'points without color.'), untrained[1],
        _training_step(args, STAGE1), *stage1,
        _training_step(args, STAGE2, f'teacher={teacher}'), *stage2
    ]
    for training in (DETECTOR, SEGMENTOR):
        steps += _fine_tuning_steps(args, training, stage2[0].output)
    return [*steps, report_step(args)]


def _shipped_scores(args: argparse.Namespace) -> str:
    """File of what the detector of the package reaches."""
    return f'{args.work_dir}/shipped/scores.json'


def _shipped_step(args: argparse.Namespace) -> Command:
    scores = _shipped_scores(args)
    return Command([
        'python', 'tools/test.py',
        *(str(Path(path).relative_to(ROOT))
          for path in (shipped.CONFIG, shipped.DETECTOR)), '--work-dir',
        str(Path(scores).parent), '--json', scores, '--cfg-options',
        f'data_root={args.data_root}'
    ], scores, 'boxes', 'A detector that comes with the package, trained on '
                   'other made-up rooms, looks for objects.')


def _output(args: argparse.Namespace, kind: str, name: str) -> str:
    """File of an encoder or of its probe."""
    ending = 'pth' if kind == 'encoder' else 'json'
    return f'{args.work_dir}/{kind}_{name.replace(" ", "")}.{ending}'


def _encoder_steps(args: argparse.Namespace, name: str,
                   source: str) -> List[Command]:
    """An encoder and its probe."""
    encoder, probe = (_output(args, x, name) for x in ('encoder', 'probe'))
    purpose = 'The encoder alone, as fine-tuning takes it.'
    if name == ENCODERS[0]:
        purpose = 'A network that has learned nothing yet, to compare with.'
    return [
        Command([
            'python', 'tools/export_backbone.py', source, '--out', encoder,
            '--seed',
            str(SEED)
        ], encoder, f'encoder: {name}', purpose),
        Command([
            'python', 'tools/experiments/linear_probe.py', encoder,
            '--data-root', args.data_root, '--json', probe
        ], probe, f'linear probe: {name}',
                'How well one linear layer reads classes from its features.')
    ]


def _preparation_steps(data: str) -> List[Command]:
    """From nothing to data that pre-training reads."""
    tools = 'tools/preparation'
    return [
        Command(
            ['python', f'{tools}/make_synthrooms.py', *ROOMS, '--out', data],
            f'{data}/scannet_infos_val.pkl', 'rooms and frames', 'Furnished '
            'rooms made from a seed, filmed by a simulated depth camera.'),
        Command(['python', f'{tools}/generate_regions.py', '--data', data],
                f'{data}/region_maps/manifest.json', 'regions of the images',
                'Superpixels, since there are no weights of SAM here.'),
        Command([
            'python', f'{tools}/extract_features.py', '--data', data,
            '--encoder', 'standin'
        ], f'{data}/region_features/manifest.json', 'features of the regions',
                'A stand-in image model, trained on labeled images of other '
                'made-up rooms, as DINOv2 was on 142 M photographs.'),
        Command([
            'python', f'{tools}/build_groups.py', '--data', data, '--set',
            'train', '--infos', f'{data}/scannet_infos_train.pkl'
        ], f'{data}/region_groups/train/manifest.json', 'groups of regions',
                'Clusters of like regions: rare ones will weigh more.'),
        Command(
            ['python', f'{tools}/lift_regions.py', '--data', data],
            f'{data}/regions/manifest.json', 'regions of whole rooms',
            'The regions of all views merged on the points of the room, for '
            'fine-tuning.')
    ]


def _training_step(args: argparse.Namespace, training: Training, *options:
                   str) -> Command:
    """A training; --resume continues where it was stopped."""
    length = training.length(args)
    launch = ['python', 'tools/train.py']
    launcher = [] if args.gpus else amp_option('cpu')
    settings = [
        f'data_root={args.data_root}', f'randomness.seed={SEED}',
        f'default_hooks.logger.interval={LOGGED}',
        f'log_processor.window_size={LOGGED}',
        f'default_hooks.checkpoint.interval={SAVED}', *training.options,
        *options
    ]
    settings += [f'{k}={v}' for k, v in length_options(length).items()]
    if args.gpus > 1:
        launch = [
            'torchrun', f'--nproc_per_node={args.gpus}', 'tools/train.py'
        ]
        launcher += ['--launcher', 'pytorch']
        share = max(training.batch // args.gpus, 1)
        settings.append(f'train_dataloader.batch_size={share}')
    return Command([
        *launch, training.config, '--work-dir',
        training.folder(args), '--resume', *launcher, '--cfg-options',
        *settings
    ], training.checkpoint(args), training.title, training.purpose)


def _fine_tuning_steps(args: argparse.Namespace, training: Training,
                       encoder: str) -> List[Command]:
    """A training with labels, and its scores in the validation rooms."""
    folder = training.folder(args)
    scores = f'{folder}/scores.json'
    return [
        _training_step(args, training,
                       'model.backbone.init_cfg.type=Pretrained',
                       f'model.backbone.init_cfg.checkpoint={encoder}',
                       'model.backbone.init_cfg.any_tokenizer=True'),
        Command([
            'python', 'tools/test.py', training.config,
            training.checkpoint(args), '--work-dir', f'{folder}/test',
            '--json', scores, '--cfg-options', f'data_root={args.data_root}'
        ], scores, f'{training.title}: scores',
                'How well it does in rooms that it was not trained on.')
    ]


def report_step(args: argparse.Namespace, is_complete: bool = True) -> Command:
    """The page, or one of the results that are there so far."""
    work = args.work_dir
    out, geometry = f'{work}/{REPORT}', f'{work}/{GEOMETRY}'

    def is_shown(path: str) -> bool:
        return is_complete or Path(path).exists()

    def named(kind: str) -> List[str]:
        files = {name: _output(args, kind, name) for name in ENCODERS}
        return [f'{n}={path}' for n, path in files.items() if is_shown(path)]

    given = {
        '--geometry': [geometry] * is_shown(geometry),
        '--runs': [
            f'{stage.title}={stage.folder(args)}' for stage in (STAGE1, STAGE2)
            if is_shown(stage.checkpoint(args))
        ],
        '--models':
        named('encoder'),
        '--probes':
        named('probe'),
        '--steps': [f'{work}/{RECORD if is_complete else SO_FAR}']
    }
    scores = _shipped_scores(args)
    given['--detector'] = [scores] * is_shown(scores)
    for training in (DETECTOR, SEGMENTOR):
        folder = training.folder(args)
        is_tested = is_shown(f'{folder}/scores.json')
        given.setdefault(f'--{training.title}',
                         []).extend([folder] * is_tested)
    return Command([
        'python', 'tools/visualize/pretraining_report.py', '--out', out,
        '--title', 'Quickstart: a network learns about rooms', '--data',
        args.data_root, *(word for option, values in given.items() if values
                          for word in (option, *values))
    ], out, 'report', 'One page that shows all of it.')


def page_so_far(args: argparse.Namespace, record: Record,
                unfinished: str) -> Command:
    """The page of the results that are there, and of what is to come."""
    record.write(Path(args.work_dir, SO_FAR), unfinished=unfinished)
    return report_step(args, is_complete=False)


def expected_seconds(args: argparse.Namespace) -> Dict[str, float]:
    """What each step took when it was measured, by its name."""
    steps = json.loads(MEASURED.read_text())['steps']
    trainings = [t.title for t in (STAGE1, STAGE2, DETECTOR, SEGMENTOR)]
    return {
        step['title']:
        step['seconds'] *
        (args.steps / STEPS if step['title'] in trainings else 1)
        for step in steps
    }


def check_gpus(count: int) -> List[str]:
    """Names of the GPUs that are asked for; it ends when there are fewer.

    Raises SystemExit when there are fewer.
    """
    if not count:
        return []
    # Not in this process, whose size would count as that of every command.
    names = subprocess.run([sys.executable, '-c', GPU_NAMES],
                           check=True,
                           capture_output=True,
                           text=True).stdout.splitlines()
    if len(names) < count:
        raise SystemExit(
            f'error: GPU={count} asks for {count} GPU(s), and PyTorch finds '
            f'{len(names) or "none"} here: run `make quickstart` without '
            'GPU= on the CPU, or `make doctor` to see why')
    return names[:count]


def main(argv: Optional[List[str]] = None) -> None:
    """Run the quickstart."""
    args = parse_args(argv)
    os.chdir(ROOT)
    gpus = check_gpus(args.gpus)
    record = Record(
        args.work_dir, {
            '--data-root': args.data_root,
            '--steps': args.steps
        }, {
            'processor': hardware()['cpu'],
            'cores': len(os.sched_getaffinity(0)),
            'GPU': ', '.join(gpus) or 'none used',
            'random seed':
            f'{SEED}, of 0, 1 and 2 the one with the median probe'
        })
    environment = dict(os.environ)
    if not args.gpus:
        environment['CUDA_VISIBLE_DEVICES'] = ''
    with Progress(record, expected_seconds(args), Path(args.work_dir, LOG),
                  lambda text: page_so_far(args, record, text), MILESTONES,
                  environment) as progress:
        if not args.gpus:
            print(
                '\n# on the CPU: export CUDA_VISIBLE_DEVICES=',
                file=progress.log,
                flush=True)
        run_steps(build_steps(args), record, environment, progress)
    total = sum(cost.seconds for cost in record.costs.values())
    print(f'Done in {total / 60:.1f} minutes of work. Open in a browser: '
          f'{Path(args.work_dir, REPORT).resolve()}')


if __name__ == '__main__':
    main()
