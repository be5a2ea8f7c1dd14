"""The curves of `bench facts` as a picture. matplotlib is imported here and nowhere else."""

from pathlib import Path

from bench.facts import Facts


def draw(result: Facts, path: Path) -> None:
    """Facts gained against general questions kept, and against control perplexity; a point a
    pass. Raises ImportError without matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    kept, prose = figure.subplots(1, 2, sharey=True)
    for number, (name, looks) in enumerate(result.strategies.items()):
        is_ours = name == "default"
        style = {
            "color": "black" if is_ours else f"C{number}",
            "linewidth": 2.0 if is_ours else 1.0,
        }
        facts = [look.facts for look in looks]
        kept.plot([look.general for look in looks], facts, marker="o", label=name, **style)
        prose.plot([look.control_ratio for look in looks], facts, marker="o", label=name, **style)
        for look in looks:
            kept.annotate(str(look.num_pass), (look.general, look.facts), fontsize=6)
    kept.axvline(result.general_before, color="grey", linestyle=":")
    prose.axvline(1.0, color="grey", linestyle=":")
    prose.set_xscale("log")
    for panel in (kept, prose):
        panel.axhline(result.in_context, color="grey", linestyle="--", label="in the prompt")
        panel.tick_params(labelsize=8)
    kept.set_xlabel(
        f"general questions answered, of {result.num_general} (dots: before)", fontsize=8
    )
    prose.set_xlabel("perplexity of control text, against the start", fontsize=8)
    kept.set_ylabel(f"facts answered, of {result.num_facts}", fontsize=8)
    prose.legend(fontsize=6, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
