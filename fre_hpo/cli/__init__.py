"""The command line: flags -> verb -> exit code.

``fre-hpo --help`` loads neither torch nor Ray nor Optuna: each command imports its verb when it runs.
"""

from fre_hpo.cli.main import main

__all__ = ["main"]
