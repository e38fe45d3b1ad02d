"""``python -m fre_hpo`` is ``fre-hpo``."""

from fre_hpo.cli import main

main()
