"""Picture of the zoo: one point for each method and seed."""
import io
from typing import Any, Dict, List

import numpy as np
from scipy import stats

from .comparison import LEVEL


def draw(results: Dict[str, Any], measures: Dict[str, str]) -> bytes:
    """PNG file of all scores, a column of axes for each measure.

    Arms and measures without any training are left out.

    Args:
        results (Dict[str, Any]): Content of the zoo's result file.
        measures (Dict[str, str]): Title by measure.

    Returns:
        bytes: The file. Points are trainings; bars are 95 % confidence
        intervals of the mean, for arms with two trainings and more.
    """
    from matplotlib.figure import Figure
    rows = [row for row in results['rows'] if any(row['scores'].values())]
    measures = {
        measure: title
        for measure, title in measures.items()
        if any(row['scores'][measure] for row in rows)
    }
    figure = Figure(
        figsize=(3.2 * len(measures) + 2, .34 * len(rows) + 1.4),
        layout='constrained')
    columns = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    places = np.arange(len(rows))[::-1]
    for axes, (measure, title) in zip(columns, measures.items()):
        for place, row in zip(places, rows):
            scores = list(row['scores'][measure].values())
            color = '#4c78a8' if row['differences'] else '#888888'
            axes.plot(
                scores, [place] * len(scores), 'o', color=color, alpha=.7)
            if len(scores) > 1:
                axes.errorbar(
                    np.mean(scores),
                    place,
                    xerr=half_interval(scores),
                    color=color,
                    capsize=4)
        axes.set_title(title, fontsize=9)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.grid(axis='x', alpha=.3)
        axes.spines[['top', 'right']].set_visible(False)
    columns[0].set_yticks(
        places, [f'{row["method"]} ({row["arm"]})' for row in rows],
        fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110, metadata=dict(Software=None))
    return buffer.getvalue()


def half_interval(scores: List[float]) -> float:
    """Half the width of the confidence interval of the mean of scores."""
    quantile = stats.t.ppf(1 - LEVEL / 2, len(scores) - 1)
    return float(quantile * np.std(scores, ddof=1) / np.sqrt(len(scores)))
