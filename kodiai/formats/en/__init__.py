"""How pages in English write times."""
