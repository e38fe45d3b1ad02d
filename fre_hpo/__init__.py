"""fre-hpo: a search service for the Feature Random Enhancement module (Ando & Hotta, 2021)."""

__version__ = "0.1.0"
