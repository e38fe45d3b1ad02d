"""optuna-dashboard's pages over our storage, behind a guard: token, Host list, read-only by default."""
