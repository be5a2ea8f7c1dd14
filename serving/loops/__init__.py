"""What stands between a pass's matrix products, as compiled loops on one thread of a CPU."""
