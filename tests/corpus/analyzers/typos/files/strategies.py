"""Strategies for the tests of the cache."""

from hypothesis import strategies as st

keys = st.text(min_size=1)
strat = st.dictionaries(keys, st.integers())


class Cache:
    async def aadd(self, key, value):
        """Add a value; the name follows that of Django's cache."""
        return await self._client.add(key, value)

    async def acount(self):
        return len(await self._client.keys())


def dims(base, side_strat=strat):
    for strat in (base, side_strat):
        yield strat.map(lambda value: value)


HELO = "HELO {host}"
WRONLY = 0o1
INPORT = 80
SPAWNERS = ("spawnve", "spawnvpe")
MESSAGES = {"de": "Suche läuft…", "fr": "Aucun élément, adresse inconnue", "pt": "itens e caracteres"}
