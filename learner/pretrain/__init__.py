"""Pretraining: files or a topic into a model's directory, by the learner's own step.

`corpus.py` freezes what is read, `plan.py` says what a directory is the pretraining of, `run.py`
does the steps, `curve.py` and `output.py` write what comes of them. Nothing of it knows Kafka or
the stream: `riverrun pretrain` reads, and hands documents in.
"""
