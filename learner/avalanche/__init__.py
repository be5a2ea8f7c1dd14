"""avalanche-lib's plugins on our stream, unchanged, and our memory in Avalanche.

`term.py` is the strategy's term, `exemplars.py` the memory as an `ExemplarsBuffer`. Nothing here
imports avalanche before it is chosen (it takes seconds): only `library.py`, `template.py`,
`rows.py`, `plugin_state.py` and `exemplars.py` do, and they are imported late.
"""
