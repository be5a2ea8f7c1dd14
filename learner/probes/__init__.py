"""What a model can do, asked in small tasks, and whether an ability came or went beyond chance.

`tasks.py` reads the files, `scoring.py` puts them to a model, `abilities.py` tells chance from
change, `examiner.py` does it within the gate's time. The built-in groups are in `riverrun/probes`.
"""
