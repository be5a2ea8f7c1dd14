"""The PromQL expressions that many panels ask: a counter's rate, a histogram's quantile."""

WINDOW = "[1m]"


def rate(counter: str, by: str = "", legend: str = "") -> tuple[str, str]:
    """How much `counter` grows a second, in all or by a label."""
    grown = f"rate({counter}_total{WINDOW})"
    if by:
        return f"sum by ({by}) ({grown})", f"{{{{{by}}}}}"
    return f"sum({grown})", legend


def quantile(q: float, metric: str) -> str:
    return f"histogram_quantile({q}, sum by (le) (rate({metric}_bucket{WINDOW})))"
