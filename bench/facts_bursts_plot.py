"""The matrices of `bench facts --bursts` as a picture. matplotlib is imported only to draw."""

from pathlib import Path

from bench.facts import Facts


def draw_bursts(result: Facts, path: Path) -> None:
    """A panel a curve: the share of each burst's facts that is answered after each burst, and
    below it the general questions. Raises ImportError without matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.0 * len(result.bursts), 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(
        2, len(result.bursts), squeeze=False, gridspec_kw={"height_ratios": [3, 1]}
    )
    for column, (name, bursts) in enumerate(result.bursts.items()):
        matrix, kept = panels[0][column], panels[1][column]
        shares = [
            [n / size if j <= i else float("nan") for j, (n, size) in enumerate(row)]
            for i, row in enumerate(zip(one, bursts.sizes, strict=True) for one in bursts.answered)
        ]
        matrix.imshow(shares, vmin=0.0, vmax=1.0, cmap="Greens", aspect="auto")
        for i, row in enumerate(bursts.answered):
            for j in range(i + 1):
                matrix.text(j, i, str(row[j]), ha="center", va="center", fontsize=7)
        matrix.set_title(name, fontsize=9)
        matrix.set_xlabel("told in burst", fontsize=8)
        matrix.set_ylabel("asked after burst", fontsize=8)
        told = range(len(bursts.sizes))
        learned = range(len(bursts.answered))
        matrix.set_xticks(list(told), [str(j + 1) for j in told])
        matrix.set_yticks(list(learned), [str(i + 1) for i in learned])
        kept.plot([i + 1 for i in learned], bursts.general, color="black", marker="o")
        kept.axhline(result.general_before, color="grey", linestyle=":")
        kept.set_ylim(0, result.num_general)
        kept.set_xlabel("after burst (dots: before)", fontsize=8)
        kept.set_ylabel(f"general, of {result.num_general}", fontsize=8)
        for panel in (matrix, kept):
            panel.tick_params(labelsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
