"""What the engine says of a pair of SAs, in the data plane's words."""

from __future__ import annotations

from rhp._fast.params import SaParams, Selector
from rhp.ike.effects import InstallSA
from rhp.wire.ts import TrafficSelector


def selector(given: TrafficSelector) -> Selector:
    """One traffic selector."""
    return Selector(str(given.start), str(given.end), int(given.protocol), given.start_port, given.end_port)


def sa_params(effect: InstallSA, port: int) -> SaParams:
    """The pair, on that port."""
    local, remote, suite = effect.path.local, effect.path.remote, effect.suite
    return SaParams(
        port=port,
        spi_in=effect.spi_in,
        spi_out=effect.spi_out,
        mode=effect.mode,
        encryption=suite.encryption.id,
        encryption_key_in=effect.encr_in.expose(),
        encryption_key_out=effect.encr_out.expose(),
        local_ip=str(local.ip),
        remote_ip=str(remote.ip),
        local_port=local.port,
        remote_port=remote.port,
        integrity=suite.integrity.id if suite.integrity is not None else 0,
        integrity_key_in=effect.integ_in.expose(),
        integrity_key_out=effect.integ_out.expose(),
        esn=suite.esn,
        replay_window=effect.replay_window,
        encapsulation=effect.encapsulation,
        outbound_active=effect.outbound_active,
        octet_warn=effect.limits.soft_octets,
        octet_limit=effect.limits.hard_octets,
        packet_warn=effect.limits.soft_packets,
        packet_limit=effect.limits.hard_packets,
        lane=effect.lane,
    )
