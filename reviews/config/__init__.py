"""Configuration: `.kodiai.yml` of a repository and of its organisation."""
