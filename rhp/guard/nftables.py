"""libnftables by cffi in its ABI mode: a batch of commands goes to the kernel as a whole, or not at all."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from cffi import FFI  # type: ignore[import-untyped]

_LIBRARY = "libnftables.so.1"

ffi = FFI()
ffi.cdef(
    """
    void *nft_ctx_new(uint32_t flags);
    void nft_ctx_free(void *context);
    int nft_ctx_buffer_error(void *context);
    const char *nft_ctx_get_error_buffer(void *context);
    void nft_ctx_set_dry_run(void *context, bool dry);
    int nft_run_cmd_from_buffer(void *context, const char *commands);
    """
)


class NftError(Exception):
    """The library is not there, or the kernel refused; the message is one sentence."""


@cache
def _library() -> Any:  # noqa: ANN401
    try:
        return ffi.dlopen(_LIBRARY)
    except OSError:
        raise NftError(f"{_LIBRARY} is not installed; install the package libnftables1") from None


def load() -> None:
    """Load the library now; where there is none, the first batch says so."""
    with suppress(NftError):
        _library()


def run(commands: str, *, dry: bool = False) -> None:
    """Carry out a batch in nft's language; `dry`, have the kernel look at it and change nothing. Raises `NftError`."""
    library = _library()
    context = library.nft_ctx_new(0)
    if context == ffi.NULL:
        raise NftError("libnftables has no memory")
    try:
        library.nft_ctx_buffer_error(context)
        library.nft_ctx_set_dry_run(context, dry)
        if library.nft_run_cmd_from_buffer(context, commands.encode()) != 0:
            said = ffi.string(library.nft_ctx_get_error_buffer(context)).decode("utf-8", "replace")
            first = (said.strip().splitlines() or ["the kernel refused"])[0]
            raise NftError(first.removeprefix("Error: "))
    finally:
        library.nft_ctx_free(context)
