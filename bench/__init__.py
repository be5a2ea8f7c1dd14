"""What we measure, and against whom. Each bench is a file with one `run`, its result a value."""
