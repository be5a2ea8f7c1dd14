"""The only process that changes weights: clean documents in, versions of the model out."""
