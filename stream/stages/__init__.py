"""The stages of cleaning, one a file: each a pure function that returns text or raises Rejected."""
