"""The algorithms of crypto providers in this process.

Three processes need them: the one that reads the configuration knows their words, the guard makes and checks proofs by
them, and the node does the rest. Each finds and loads them for itself, by the names of `node.crypto_providers`.
"""

from __future__ import annotations

from collections.abc import Iterable

from rhp.crypto import additions
from rhp.spi import find
from rhp.spi.find import ProviderError


def add_algorithms(names: Iterable[str]) -> None:
    """Put what these providers have into the tables; harmless when done before. Raises `ProviderError`."""
    for name in names:
        provider = find.load(find.CRYPTO, name)
        try:
            additions.add(provider.transforms())
        except additions.AdditionRefused as error:
            raise ProviderError(f'the crypto provider "{name}" cannot be used: {error}') from error
        except Exception as error:
            # Whatever somebody else's code raises must end in a sentence.
            detail = " ".join(f"{type(error).__name__}: {error}".split())
            raise ProviderError(
                f'the crypto provider "{name}" failed ({detail}); mend or remove its package'
            ) from error
