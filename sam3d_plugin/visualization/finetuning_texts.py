"""What the sections on fine-tunings say to a newcomer.

An empty line begins a paragraph.
"""
from typing import Sequence

DETECTION_LABEL, SEGMENTATION_LABEL = 'Detection', 'Segmentation'
_KINDS = {DETECTION_LABEL: 'detector', SEGMENTATION_LABEL: 'segmentor'}
_PRESENT = """
In the end an encoder learns from labels after all, as the backbone of a
{kinds}.
"""
_ABSENT = """
This page shows no fine-tuned {kinds}: tools/visualize/pretraining_report.py
was given no training of one.
"""

SHORT = """
This was a short fine-tuning, {steps:,} steps with one seed: it shows that the
chain works to its end, not how good the method is, nor what pre-training was
worth.
"""

DETECTION = """
An encoder becomes the backbone of a detector, which learns from the labelled
boxes of the training rooms and is then asked for the objects of validation
rooms. Left are the true boxes of such a room, right as many predictions, those
of the highest scores. A class has one colour. A solid prediction is a match:
it overlaps a true box of its class by more than a quarter (IoU > 0.25), and no
better prediction has taken that box. A dashed one is wrong, or finds an object
a second time. A click enlarges a picture. Below, the same boxes rotate: drag
to turn them, hold the mouse over one for its class, score and size, or raise
the lowest score.

AP25 is the average precision, from 0 to 100: high when many boxes are found,
few are invented, and the invented ones have low scores. It is averaged over
the classes that occur, and counts a match from a quarter of overlap on; AP50
asks for half.
"""

SEGMENTATION = """
An encoder becomes the backbone of a segmentor, which learns from the labelled
points of the training rooms and then names the class of every point of
validation rooms. Left are the true classes, in the middle the predicted ones,
right what is wrong, in red. Points without a label, in light grey, count
nowhere.

mIoU is the overlap of predicted and true points of a class, in per cent,
averaged over the classes that occur. A class of few points counts as much as
the floor, so mIoU is usually lower than the share of points that are right.
"""


def introduce(labels: Sequence[str]) -> str:
    """Say which fine-tunings a page shows, and which it does not.

    Args:
        labels (Sequence[str]): Of its sections.

    Returns:
        str: One or two sentences.
    """
    shown = [kind for label, kind in _KINDS.items() if label in labels]
    missing = [kind for label, kind in _KINDS.items() if label not in labels]
    parts = [
        text.strip().format(kinds=words)
        for text, words in ((_PRESENT, ' and of a '.join(shown)),
                            (_ABSENT, ' and no fine-tuned '.join(missing)))
        if words
    ]
    return ' '.join(parts)
