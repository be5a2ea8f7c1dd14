"""The curves of `bench retention` as a picture. matplotlib is imported here and nowhere else."""

from pathlib import Path

from bench.retention import Retention


def draw(result: Retention, path: Path) -> None:
    """Mean bits a byte over the languages that were begun, along the stream; a panel for each
    language beside it. Raises ImportError without matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    online = {name: s for name, s in result.strategies.items() if s.curve}
    names = list(next(iter(result.strategies.values())).by_language)
    figure = Figure(figsize=(3.2 * len(names), 3.0), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for panel, language in zip(panels, names, strict=True):
        for number, (name, score) in enumerate(online.items()):
            places = [num_bytes / 1e6 for num_bytes, _ in score.curve]
            bits = [by_language[language] for _, by_language in score.curve]
            is_ours = name == "ours"
            panel.plot(
                places,
                bits,
                color="black" if is_ours else f"C{number}",
                linewidth=2.0 if is_ours else 1.0,
                label=name,
            )
        if "retrain" in result.strategies:
            level = result.strategies["retrain"].by_language[language]
            panel.axhline(level, color="grey", linestyle=":", label="retrain")
        for boundary in result.boundaries:
            panel.axvline(boundary / 1e6, color="lightgrey", linewidth=0.8, zorder=0)
        panel.set_title(f"held-out {language}", fontsize=9)
        panel.set_xlabel("MB learned, then rehearsed", fontsize=8)
        panel.tick_params(labelsize=8)
    panels[0].set_ylabel("bits a byte", fontsize=8)
    panels[-1].legend(fontsize=6, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
