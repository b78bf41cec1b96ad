"""Arguments of the tools that show predictions of a trained model."""
import argparse

from .arguments import SettingAction
from .value_types import device_name, number_in, output_folder, whole_number


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the results of a model go, and how it predicts."""
    add_predictor_arguments(parser)
    parser.add_argument(
        '--out', type=output_folder, required=True, help='folder')


def add_predictor_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how a model predicts."""
    parser.add_argument(
        '--score-thr',
        type=number_in(0, 1),
        default=0.3,
        help='lowest score of a box (default: %(default)s)')
    parser.add_argument(
        '--device',
        type=device_name,
        help='default: cuda if present, else cpu')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=SettingAction,
        default={},
        help='changes of the config, as key=value')


def add_view_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the pictures of a scan show, and from where."""
    group = parser.add_argument_group('pictures')
    group.add_argument(
        '--max-boxes',
        type=whole_number,
        default=200,
        help='draw at most so many boxes, the best first (default: '
        '%(default)s)')
    group.add_argument(
        '--max-height',
        type=number_in(0),
        default=2.2,
        help='leave out points higher above the floor, so that no ceiling '
        'hides the room, meters (default: %(default)s)')
    group.add_argument(
        '--azimuth',
        type=float,
        default=-60.,
        help='where the camera stands, degrees counter-clockwise from the x '
        'axis (default: %(default)s)')
