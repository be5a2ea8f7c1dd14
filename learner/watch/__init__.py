"""What looks at each step and changes no weight: health, held-out text, drift, forgetting."""
