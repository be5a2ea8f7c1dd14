"""The language model: its shape, its arithmetic, its files, and where the files come from.

Nothing is imported here, so that `riverrun.model.config` is cheap for those who need no torch.
"""
