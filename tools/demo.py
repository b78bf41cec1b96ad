"""A page in the browser that finds the objects of a scan.

    python tools/demo.py
    python tools/demo.py CONFIG CHECKPOINT

Without a model, it is the detector that comes with the package. Open the
address that it prints and drop a scan, any file that predict.py reads: the
page shows the boxes and offers the files of predict.py. It needs no network.
Scans and results are deleted when it ends, or after a day. In the environment,
GRADIO_SERVER_PORT sets the port (the next free one is taken), and
GRADIO_SERVER_NAME=0.0.0.0 lets other machines in, without a password. Needs
the extra demo.
"""
import sam3d_plugin.cli.interruption  # noqa: F401  isort: skip  first
import argparse
import os
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, Optional, Sequence, Tuple

from sam3d_plugin import shipped
from sam3d_plugin.cli.arguments import ToolParser
from sam3d_plugin.cli.model_arguments import add_predictor_arguments
from sam3d_plugin.cli.tool import run_tool
from sam3d_plugin.preparation.sources.scans import UP_AXES
from sam3d_plugin.store.errors import UserError

TABLE = 'Boxes in units and axes of the scan, yaw in radians'
SHIPPED = ('It comes with the package and was trained on made-up rooms only: '
           'in a real one it misses much.')
# A narrow window shows the complete room, not its middle.
CSS = '.js-plotly-plot { width: 100%; aspect-ratio: 1.5; max-height: 520px; }'
# The browser asks no other server, whatever Gradio's files name.
POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'"


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = ToolParser(__doc__)
    parser.add_argument(
        'model', nargs='*', metavar='CONFIG CHECKPOINT', help='of a detector')
    add_predictor_arguments(parser)
    # Lower ones hide the room behind their names; the page has a slider.
    parser.set_defaults(score_thr=0.7)
    args = parser.parse_args(argv)
    if len(args.model) not in (0, 2):
        parser.error('name a CONFIG and its CHECKPOINT, or neither')
    args.config, args.checkpoint = args.model or (shipped.CONFIG,
                                                  shipped.DETECTOR)
    return args


def find(predict: Any, path: Optional[str], scale: float, up: str,
         drop_invalid: bool) -> Tuple[Any, str]:
    """All boxes of a file, and how it was read or why it cannot be."""
    from sam3d_plugin.cli.errors import explain
    from sam3d_plugin.inference import SceneOptions, read_scene
    from sam3d_plugin.inference.interactive import describe_reading
    if not path:
        return None, ''
    try:
        scan = read_scene(
            path, SceneOptions(scale or None, up or None, None, drop_invalid))
        found = predict(scan, score_thr=0.)
    except (OSError, ValueError) as error:
        sentence = explain(error)
        if sentence is None:
            raise
        return None, 'error: ' + sentence.replace(f'{Path(path).parent}/', '')
    return found, describe_reading(scan, found)


def build_page(predict: Any, score_thr: float, about: str) -> Any:
    """The page, as Gradio's Blocks; ``about`` the model is a sentence."""
    import gradio as gr

    from sam3d_plugin.inference.interactive import (COLUMNS, show_boxes,
                                                    write_boxes)
    from sam3d_plugin.preparation.sources.scans.orientation import UNITS
    from sam3d_plugin.preparation.sources.scans.scan_readers import ENDINGS
    units = [('as the file says', 0.), ('meters', 1.),
             *((name, unit) for unit, name in UNITS.items())]
    axes = [('as the file says', ''), *((axis, axis) for axis in UP_AXES)]
    with gr.Blocks(
            title='Objects in a scan',
            analytics_enabled=False,
            delete_cache=(3600, 86400)) as page:
        found = gr.State(time_to_live=3600)
        gr.Markdown('# Objects in a scan\nDrop a 3D scan of a room. The model '
                    f'looks for {", ".join(predict.classes)}. {about}')
        with gr.Row():
            with gr.Column(min_width=300):
                scan = gr.File(label=f'Scan: {", ".join(ENDINGS)}')
                with gr.Row():
                    scale = gr.Dropdown(units, label='Unit (--scale)')
                    up = gr.Dropdown(axes, label='Up axis (--up)')
                drop = gr.Checkbox(
                    label='Leave out invalid points (--drop-invalid)')
                said = gr.Textbox(lines=3, label='Notes', interactive=False)
            with gr.Column(min_width=300, scale=2):
                view = gr.Plot(show_label=False)
                threshold = gr.Slider(
                    0, 1, score_thr, step=.01, label='Lowest score')
                # Its number is empty while one types.
                threshold.preprocess = lambda number: number or 0.
                table = gr.Dataframe([],
                                     headers=COLUMNS,
                                     interactive=False,
                                     label=TABLE)
                files = gr.Files(label='Download', interactive=False)
        read = gr.on([scan.change, scale.input, up.input, drop.input],
                     partial(find, predict), [scan, scale, up, drop],
                     [found, said],
                     api_name='find')
        for event in (read.then, threshold.change):
            event(show_boxes, [found, threshold],
                  [view, table]).then(write_boxes, [found, threshold], files)
    return page


async def add_policy(request: Any, call_next: Any) -> Any:
    """Answer a request of the browser, with the policy."""
    response = await call_next(request)
    response.headers['Content-Security-Policy'] = POLICY
    return response


def main(args: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C."""
    from sam3d_plugin.store.extras import import_extra
    with TemporaryDirectory() as folder:
        # Gradio asks its own page whether it answers, not through a proxy.
        os.environ.update(GRADIO_TEMP_DIR=folder, no_proxy='*')
        import_extra('gradio', 'demo')
        from starlette.middleware import Middleware
        from starlette.middleware.base import BaseHTTPMiddleware

        from sam3d_plugin.inference import Predictor
        predict = Predictor(args.config, args.checkpoint, args.device,
                            args.cfg_options)
        if predict.is_segmentor:
            raise UserError(f'{args.config} is a segmentor; use predict.py')
        policy = Middleware(BaseHTTPMiddleware, dispatch=add_policy)
        about = '' if args.model else SHIPPED
        page = build_page(predict, args.score_thr, about)
        page.launch(
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            footer_links=[],
            css=CSS,
            run_history=False,
            app_kwargs=dict(middleware=[policy]))
        print(f'Open {page.local_url} in a browser, Ctrl-C ends', flush=True)
        Event().wait()


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_args()))
