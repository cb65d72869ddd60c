"""Private numbers that Rockhopper uses; no registry knows them."""

from enum import IntEnum

ROCKHOPPER_VENDOR_ID = bytes.fromhex("01a9f0f0ca1d92d2edda8fb44d438936552282ed8f")
"""One octet of version, then the SHA-1 of its greeting."""


class RockhopperNotify(IntEnum):
    """Status notifies from the private range (RFC 7296 section 3.10.1: 40960 to 65535)."""

    USE_ETHERIP_ENCAP = 59300
    INTERNAL_IP4_ADDRESS = 59301
    INTERNAL_IP6_ADDRESS = 59302
    INTERNAL_MAC_ADDRESS = 59303
    INTERNAL_ACCESSPOINT = 59304
    INTERNAL_MESH_NODE = 59305
    REALM_ID = 59306
    IPV6_AUTOCONF_REKEY_SA = 59307
    USE_GRE_ENCAP = 59308


class RockhopperAttribute(IntEnum):
    """Attributes of the configuration payload from the private range (RFC 7296 section 3.15.1)."""

    DNS_SUFFIX = 28467
    IP4_GATEWAY = 28468
    IP6_GATEWAY = 28469
