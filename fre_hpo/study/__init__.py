"""The study: its recipe and spec, the ledger (the only module that knows Optuna), its folder."""
