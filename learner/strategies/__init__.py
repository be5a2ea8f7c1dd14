"""What a step minimizes: terms that add up (`strategy.py`), one small file each."""
